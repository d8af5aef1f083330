/**
 * The Ed25519 key that signs checkpoints: read from a file of its own, made there on a development start. Only this
 * folder ever holds it; everybody else gets the verifier's key.
 */
import { createPrivateKey, type KeyObject, randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, stat, unlink } from "node:fs/promises";
import { platform } from "node:os";
import { dirname } from "node:path";

/** The checkpoint key is absent, unreadable or exposed. */
export class CheckpointKeyError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "CheckpointKeyError";
  }
}

const PEM_BYTES_MAX = 4_096;
/** PKCS #8 of an Ed25519 key (RFC 8410 section 7) without its 32 bytes of seed. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

export interface CheckpointKeyOptions {
  readonly file: string;
  /** Production never writes secrets: the file must be there. */
  readonly mode: "development" | "production";
}

/** Throws `CheckpointKeyError`. `created` says that this start has made the file (mode 0600). */
export async function loadCheckpointKey(
  options: CheckpointKeyOptions,
): Promise<{ readonly privateKey: KeyObject; readonly created: boolean }> {
  const found = await readKey(options.file);
  if (found !== undefined) return { privateKey: found, created: false };
  if (options.mode === "production") {
    throw new CheckpointKeyError(
      `The checkpoint key ${options.file} does not exist. Make one with: openssl genpkey -algorithm ed25519`,
    );
  }
  await createKey(options.file);
  // Read back: when two starts race, both go on with the file that won.
  const created = await readKey(options.file);
  if (created === undefined) throw new CheckpointKeyError(`The checkpoint key ${options.file} could not be made.`);
  return { privateKey: created, created: true };
}

async function readKey(path: string): Promise<KeyObject | undefined> {
  try {
    const { mode, size } = await stat(path);
    if (platform() !== "win32" && (mode & 0o007) !== 0) {
      throw new CheckpointKeyError(`The checkpoint key ${path} is accessible to everybody; run: chmod 600 ${path}`);
    }
    if (size > PEM_BYTES_MAX) throw new CheckpointKeyError(`The checkpoint key ${path} is too large to be a key.`);
    const key = createPrivateKey(await readFile(path));
    if (key.asymmetricKeyType !== "ed25519") throw new CheckpointKeyError(`The checkpoint key ${path} is not Ed25519.`);
    return key;
  } catch (error) {
    // A missing file is an answer; everything else is a failure to be said, without what the file holds.
    if (error instanceof CheckpointKeyError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined; // fs rejects with an ErrnoException
    throw new CheckpointKeyError(`The checkpoint key ${path} cannot be read.`);
  }
}

/** Whole or not at all: written aside, flushed, then linked into place; a link never replaces a file that is there. */
async function createKey(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  const der = Buffer.concat([PKCS8_PREFIX, randomBytes(32)]);
  const pem = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ format: "pem", type: "pkcs8" });
  const file = await open(aside, "wx", 0o600);
  try {
    await file.writeFile(pem);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(aside, path);
  } catch (error) {
    // Another start was faster; its key is the key.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // fs rejects with an ErrnoException
  } finally {
    await unlink(aside);
  }
}

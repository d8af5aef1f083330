/**
 * Where the master key comes from: the environment, a file, or (development only) a file made on the first start.
 * What is done with it is keyring.ts. Nothing here ever prints a key.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, stat, unlink } from "node:fs/promises";
import { platform } from "node:os";
import { dirname } from "node:path";

export interface MasterKey {
  readonly bytes: Uint8Array;
  /** environment, the file that was read, or the file that this start has made. */
  readonly origin:
    | { readonly kind: "environment" }
    | { readonly kind: "file"; readonly path: string }
    | { readonly kind: "created"; readonly path: string };
}

/** The master key is absent, unreadable, weak or exposed. The message says which and what to do. */
export class MasterKeyError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "MasterKeyError";
  }
}

const KEY_BYTES = 32;
/** Files that the zero-configuration start makes are marked, so that production can refuse them. */
const DEVELOPMENT_MARK = "writ-development-key-v1:";

export interface LoadMasterKeyOptions {
  readonly mode: "development" | "production";
  readonly masterKey: string | undefined;
  readonly masterKeyFile: string | undefined;
}

/** Throws `MasterKeyError`. Only in development, and only when the file does not exist, is one made (mode 0600). */
export async function loadMasterKey(options: LoadMasterKeyOptions): Promise<MasterKey> {
  if (options.masterKey !== undefined) {
    return {
      bytes: decodeKey(options.masterKey, options.mode, "WRIT_KEYS_MASTER_KEY"),
      origin: { kind: "environment" },
    };
  }
  const path = options.masterKeyFile;
  if (path === undefined) throw new MasterKeyError("No master key is configured: give keys.masterKeyFile.");
  const text = await readKeyFile(path);
  if (text !== undefined) return { bytes: decodeKey(text, options.mode, path), origin: { kind: "file", path } };
  if (options.mode === "production") {
    throw new MasterKeyError(
      `The master key file ${path} does not exist, and production never writes secrets. Make one with: openssl rand -base64 32`,
    );
  }
  await createKeyFile(path);
  // Read back instead of remembered: when two starts race, both go on with the one file that won.
  const created = await readKeyFile(path);
  if (created === undefined) throw new MasterKeyError(`The master key file ${path} could not be made.`);
  return { bytes: decodeKey(created, options.mode, path), origin: { kind: "created", path } };
}

async function readKeyFile(path: string): Promise<string | undefined> {
  try {
    const { mode, size } = await stat(path);
    if (platform() !== "win32" && (mode & 0o007) !== 0) {
      throw new MasterKeyError(`The master key file ${path} is accessible to everybody; run: chmod 600 ${path}`);
    }
    if (size > 1_024) throw new MasterKeyError(`The master key file ${path} is too large to hold a key.`);
    return await readFile(path, "utf8");
  } catch (error) {
    // A missing file is an answer; everything else is a failure to be said.
    if (error instanceof MasterKeyError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined; // fs rejects with an ErrnoException
    throw new MasterKeyError(`The master key file ${path} cannot be read.`, { cause: error });
  }
}

/** Whole or not at all: written aside, flushed, then linked into place; a link never replaces a file that is there. */
async function createKeyFile(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  const file = await open(aside, "wx", 0o600);
  try {
    await file.writeFile(`${DEVELOPMENT_MARK}${randomBytes(KEY_BYTES).toString("base64")}\n`);
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

function decodeKey(text: string, mode: "development" | "production", place: string): Uint8Array {
  let body = text.trim();
  if (body.startsWith(DEVELOPMENT_MARK)) {
    if (mode === "production") {
      throw new MasterKeyError(
        `${place} holds a key that a development start made. Production wants one of its own: openssl rand -base64 32`,
      );
    }
    body = body.slice(DEVELOPMENT_MARK.length);
  }
  const bytes = Buffer.from(body, "base64");
  const canonical = bytes.toString("base64").replaceAll("=", "");
  if (bytes.length !== KEY_BYTES || canonical !== body.replaceAll("-", "+").replaceAll("_", "/").replaceAll("=", "")) {
    throw new MasterKeyError(`${place} must hold 32 bytes in base64. Make a key with: openssl rand -base64 32`);
  }
  // 32 random bytes have fewer than 16 distinct values once in 10^13 keys; typed or repeated ones nearly always do.
  if (new Set(bytes).size < 16 || /^[\x20-\x7e]+$/.test(bytes.toString("latin1"))) {
    throw new MasterKeyError(`${place} does not look random. Make a key with: openssl rand -base64 32`);
  }
  return new Uint8Array(bytes);
}

/**
 * Files that hold one secret each: read only where nobody else can read them, made by a development start alone, written
 * whole or not at all. What a secret must look like is its reader's to say; nothing here ever prints one.
 */
import { randomBytes } from "node:crypto";
import { link, open, readFile, rename, rm, stat } from "node:fs/promises";
import { platform } from "node:os";
import { dirname } from "node:path";
import { makeDirectory } from "../make-directory.ts";

/** A secret that a start needs is absent, unreadable, weak or exposed. The message says which and what to do. */
export class SecretError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SecretError";
  }
}

export interface LoadSecretFileOptions {
  readonly path: string;
  /** What messages call the secret. */
  readonly what: string;
  readonly bytesMax: number;
  readonly mode: "development" | "production";
  /** The command by which a person makes such a file. */
  readonly command: string;
  /** The content that a development start gives to a file that is not there. */
  readonly make: () => string;
}

/** Throws `SecretError`. `created` says that this start found no file and saw one made (mode 0600). */
export async function loadSecretFile(
  options: LoadSecretFileOptions,
): Promise<{ readonly bytes: Buffer; readonly created: boolean }> {
  const { path, what, mode, command, make } = options;
  const found = await readSecretFile(options);
  if (found !== undefined) return { bytes: found, created: false };
  if (mode === "production") {
    throw new SecretError(
      `The ${what} ${path} does not exist, and production never writes secrets. Make one with: ${command}`,
    );
  }
  await writePrivateFile(path, make(), "keep");
  // Read back instead of remembered: when two starts race, both go on with the one file that won.
  const made = await readSecretFile(options);
  if (made === undefined) throw new SecretError(`The ${what} ${path} could not be made.`);
  return { bytes: made, created: true };
}

async function readSecretFile({ path, what, bytesMax }: LoadSecretFileOptions): Promise<Buffer | undefined> {
  try {
    const { mode, size } = await stat(path);
    if (platform() !== "win32" && (mode & 0o007) !== 0) {
      throw new SecretError(`The ${what} ${path} is accessible to everybody; run: chmod 600 ${path}`);
    }
    if (size > bytesMax) throw new SecretError(`The ${what} ${path} is too large to hold a key.`);
    return await readFile(path);
  } catch (error) {
    // A missing file is an answer; everything else is a failure to be said.
    if (error instanceof SecretError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined; // fs rejects with an ErrnoException
    throw new SecretError(`The ${what} ${path} cannot be read.`, { cause: error });
  }
}

/**
 * Whole or not at all, readable by its owner only, on disk before it resolves. A file that is there is kept, whoever
 * made it, or replaced.
 */
export async function writePrivateFile(path: string, text: string, ifThere: "keep" | "replace"): Promise<void> {
  await makeDirectory(dirname(path), { what: `The file ${path}`, mode: 0o700 });
  const aside = `${path}.${randomBytes(6).toString("hex")}.new`;
  const file = await open(aside, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // A link never replaces a file that is there.
    if (ifThere === "keep") await link(aside, path);
    else await rename(aside, path);
  } catch (error) {
    // Another was faster, and its file is to be kept; fs rejects with an ErrnoException.
    if (ifThere === "replace" || (error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(aside, { force: true });
  }
  await syncDirectory(dirname(path));
}

/** A name is on disk once its directory is; Windows does that by itself, and refuses to be asked. */
async function syncDirectory(path: string): Promise<void> {
  if (platform() === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

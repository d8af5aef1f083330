/** Reads the small files that commands are given, and writes secrets so that only their user can read them. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, type FileHandle, open, readFile, realpath, rename, stat, unlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { CliContext } from "./cli-context.ts";
import { refused } from "./exit-codes.ts";

const SECRET_BYTES_MAX = 16_384;
const TEXT_BYTES_MAX = 4 * 1024 * 1024;

/** A file's text. `what` names it in the message when it cannot be read. */
export async function readTextFile(context: CliContext, path: string, what: string): Promise<string> {
  const absolute = resolve(context.directory, path);
  try {
    const { size } = await stat(absolute);
    if (size > TEXT_BYTES_MAX) throw refused(`The ${what} ${path} is larger than ${TEXT_BYTES_MAX} bytes.`);
    return await readFile(absolute, "utf8");
  } catch (error) {
    throw asRefusal(error, path, what);
  }
}

/** A file that may be too large to be read whole; the caller reads it to its end or closes it. */
export async function openTextFile(context: CliContext, path: string, what: string): Promise<FileHandle> {
  const absolute = resolve(context.directory, path);
  try {
    const handle = await open(absolute, "r");
    if ((await handle.stat()).isDirectory()) {
      await handle.close();
      throw refused(`${path} is a directory, not a ${what}.`);
    }
    return handle;
  } catch (error) {
    throw asRefusal(error, path, what);
  }
}

/** Empties or makes a file that only its user may read; the caller writes it and closes it. */
export async function openPrivateFile(context: CliContext, path: string): Promise<FileHandle> {
  try {
    return await open(resolve(context.directory, path), "w", 0o600);
  } catch (error) {
    throw asRefusal(error, path, "directory of the file");
  }
}

/** A secret alone in a file, without the newline at its end. */
export async function readSecretFile(context: CliContext, path: string, what: string): Promise<string> {
  const text = await readTextFile(context, path, what);
  const secret = text.trim();
  if (secret === "" || secret.length > SECRET_BYTES_MAX || /\s/.test(secret)) {
    throw refused(`The ${what} ${path} does not hold one word and nothing else.`);
  }
  return secret;
}

/** Undefined when there is no such file. */
export async function readSecretIfThere(context: CliContext, path: string, what: string): Promise<string | undefined> {
  try {
    await stat(resolve(context.directory, path));
  } catch {
    // It does not exist or cannot be looked at; the caller goes on without it.
    return undefined;
  }
  return readSecretFile(context, path, what);
}

/** Makes a directory that only its user may read, unless it is there. `what` names what needs it. */
export async function makePrivateDirectory(path: string, what: string): Promise<void> {
  if (existsSync(path)) return;
  const { makeDirectory } = await import("@writ/server");
  await makeDirectory(path, { what, mode: 0o700 });
}

/** Mode 0600, whether the file was there or not. Returns the absolute path. */
export async function writeSecretFile(context: CliContext, path: string, secret: string): Promise<string> {
  const absolute = resolve(context.directory, path);
  try {
    await makePrivateDirectory(dirname(absolute), `The file ${path}`);
    const file = await open(absolute, "w", 0o600);
    try {
      await chmod(absolute, 0o600);
      await file.writeFile(`${secret}\n`);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asRefusal(error, path, "file");
  }
  return absolute;
}

/** Backups of one file that stay beside it. */
const BACKUPS_MAX = 99;

/**
 * Replaces a file that still is as it was read, in one step, and keeps it as it was beside it. Returns the backup's path.
 * Refuses a file that changed meanwhile.
 */
export async function replaceFile(
  path: string,
  { before, text, isSecret }: { readonly before: string; readonly text: string; readonly isSecret: boolean },
): Promise<string> {
  try {
    const target = await realpath(path);
    const { mode } = await stat(target);
    const kept = isSecret ? 0o600 : mode & 0o777;
    if ((await readFile(target, "utf8")) !== before) throw refused(`${path} changed meanwhile: repeat the command.`);
    // What was in it may have been secret, whoever could read it.
    const backup = await writeNew(target, before, mode & 0o600);
    const temporary = `${target}.${randomUUID()}`;
    const file = await open(temporary, "wx", kept);
    try {
      await chmod(temporary, kept);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await rename(temporary, target);
    } catch (error) {
      // Nothing was replaced; the failure goes on.
      await unlink(temporary);
      throw error;
    }
    return backup;
  } catch (error) {
    throw asRefusal(error, path, "file");
  }
}

async function writeNew(target: string, text: string, mode: number): Promise<string> {
  for (let number = 1; number <= BACKUPS_MAX; number += 1) {
    const path = `${target}.before-writ${number === 1 ? "" : `-${number}`}`;
    try {
      const file = await open(path, "wx", mode);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      return path;
    } catch (error) {
      // An earlier one is kept; every other failure goes on.
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
  }
  throw refused(`${target} has too many backups beside it: take away those named .before-writ.`);
}

function asRefusal(error: unknown, path: string, what: string): Error {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return refused(`The ${what} ${path} does not exist.`);
    case "EACCES":
    case "EPERM":
      return refused(`The ${what} ${path} may not be read or written by this user.`);
    case "EISDIR":
      return refused(`${path} is a directory, not a ${what}.`);
    default:
      return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * Makes a directory that a setting or a person has named, with those above it, or says why that cannot be. Not by Node's
 * recursive `mkdir`: where a directory exists and takes no others, though it does not refuse them (`/proc`), that tries
 * without end and cannot be interrupted.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** A directory that is needed cannot be made. The message says which, what for and why. */
export class DirectoryError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "DirectoryError";
  }
}

export interface MakeDirectoryOptions {
  /** What needs it, as messages begin: a setting or a file. */
  readonly what: string;
  /** Of each directory that is made; the process's own default when left out. */
  readonly mode?: number;
}

/** Resolves when the directory is there, whoever made it. Throws `DirectoryError`. */
export async function makeDirectory(path: string, { what, mode }: MakeDirectoryOptions): Promise<void> {
  const whole = resolve(path);
  const fail = (at: string, why: string, cause?: unknown): never => {
    const place = at === whole ? whole : `${whole}, below ${at}`;
    throw new DirectoryError(`${what} needs the directory ${place}: ${why}. Name another place, or make it first.`, {
      cause,
    });
  };
  const missing: string[] = [];
  let at = whole;
  for (;;) {
    const found = await kindOf(at).catch((error: unknown) => fail(at, reasonOf(error), error));
    if (found === "other") fail(at, "there is something that is no directory");
    if (found === "directory") break;
    missing.push(at);
    at = dirname(at);
  }
  for (const each of missing.reverse()) {
    try {
      await mkdir(each, mode === undefined ? {} : { mode });
    } catch (error) {
      // Another was faster, which is as good; everything else is a failure, and is said.
      const code = codeOf(error);
      if (code === "EEXIST" && (await kindOf(each)) === "directory") continue;
      fail(dirname(each), reasonOf(error), error);
    }
  }
}

async function kindOf(path: string): Promise<"directory" | "other" | "missing"> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "other";
  } catch (error) {
    // What is not there may be made; the failure to look goes on. The root is always there.
    if (codeOf(error) !== "ENOENT" || path === dirname(path)) throw error;
    return "missing";
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code; // fs rejects with an ErrnoException
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "this user may make none there";
    case "ENOENT":
      return "none can be made there";
    case "ENOTDIR":
    case "EEXIST":
      return "there is something that is no directory";
    default:
      return `it cannot be made (${code ?? String(error)})`;
  }
}

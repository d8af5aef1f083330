/** Puts the credentials of an upstream into files that the gateway reads, and takes them away again when it came to nothing. */
import { randomUUID } from "node:crypto";
import { chmod, link, open, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { UpstreamCredential } from "@writ/contract";
import { makePrivateDirectory } from "../files.ts";
import type { PlannedCredential } from "./plan-entry.ts";

export interface WrittenCredentials {
  readonly bindings: readonly UpstreamCredential[];
  /** Files that were not there before. */
  readonly made: readonly string[];
}

const SUFFIX_MAX = 99;

/** Each in a file of its own, mode 0600. A file of that name with another value is left as it is, and another is made. */
export async function writeCredentials(
  directory: string,
  upstream: string,
  credentials: readonly PlannedCredential[],
): Promise<WrittenCredentials> {
  const bindings: UpstreamCredential[] = [];
  const made: string[] = [];
  await makePrivateDirectory(directory, "The place of credentials");
  try {
    for (const { value, ...binding } of credentials) {
      const base = `${upstream}-${binding.name.toLowerCase()}`;
      const { file, isNew } = await writeOne(directory, base, value);
      if (isNew) made.push(join(directory, file));
      bindings.push({ ...binding, file });
    }
    return { bindings, made };
  } catch (error) {
    // Half of an upstream's credentials are of no use to anybody; the failure goes on.
    await removeFiles(made);
    throw error;
  }
}

/** What is in one of the files; undefined when it cannot be read here. */
export async function readCredential(directory: string, file: string): Promise<string | undefined> {
  return readFile(join(directory, file), "utf8").then(
    (text) => text.trimEnd(),
    () => undefined, // of another machine, or of another user: that it cannot be seen is the answer
  );
}

export async function removeFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) await unlink(path).catch(() => undefined); // gone already is what was wanted
}

async function writeOne(
  directory: string,
  base: string,
  value: string,
): Promise<{ readonly file: string; readonly isNew: boolean }> {
  const temporary = join(directory, `.${randomUUID()}`);
  const handle = await open(temporary, "wx", 0o600);
  try {
    await chmod(temporary, 0o600);
    await handle.writeFile(`${value}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    for (let number = 1; number <= SUFFIX_MAX; number += 1) {
      const file = number === 1 ? base : `${base}-${number}`;
      const isThere = await link(temporary, join(directory, file)).then(
        () => false,
        (error: unknown) => {
          if (error instanceof Error && "code" in error && error.code === "EEXIST") return true;
          throw error;
        },
      );
      if (!isThere) return { file, isNew: true };
      if ((await readFile(join(directory, file), "utf8")).trimEnd() === value) return { file, isNew: false };
    }
    throw new Error(`${directory} has too many files of the name ${base}`);
  } finally {
    await unlink(temporary);
  }
}

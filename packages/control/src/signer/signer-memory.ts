/**
 * What the signer remembers outside the database: of each tenant the last checkpoint that it signed, in one small
 * file that is replaced whole. Without it a restored old database could be signed as if nothing had happened.
 */
import { readFile } from "node:fs/promises";
import { writePrivateFile } from "@writ/runtime";

export interface RememberedCheckpoint {
  readonly epoch: number;
  readonly size: number;
  /** Hex. */
  readonly root: string;
  /** Hex: what the tree is continued from, so that extension is checked and not assumed. */
  readonly frontier: string;
  readonly signedAtMs: number;
}

export interface SignerMemory {
  get(tenantId: string): RememberedCheckpoint | undefined;
  /** Resolves once it is on disk. */
  set(tenantId: string, checkpoint: RememberedCheckpoint): Promise<void>;
}

const TENANTS_MAX = 100_000;

/** Throws when the file is there and cannot be read: forgetting would be worse than not starting. */
export async function openSignerMemory(path: string): Promise<SignerMemory> {
  const known = new Map<string, RememberedCheckpoint>(Object.entries(await readMemory(path)));
  let writing: Promise<void> = Promise.resolve();
  return {
    get: (tenantId) => known.get(tenantId),
    set(tenantId, checkpoint) {
      if (!known.has(tenantId) && known.size >= TENANTS_MAX)
        throw new RangeError("the signer remembers too many tenants");
      known.set(tenantId, checkpoint);
      writing = writing
        .catch(() => undefined)
        .then(() => writePrivateFile(path, JSON.stringify(Object.fromEntries(known)), "replace")); // each write tells its own caller
      return writing;
    },
  };
}

async function readMemory(path: string): Promise<Record<string, RememberedCheckpoint>> {
  try {
    // Written by `set` alone, whole; a foreign file fails in parsing or in the comparison with the log.
    return JSON.parse(await readFile(path, "utf8")) as Record<string, RememberedCheckpoint>;
  } catch (error) {
    // No file yet is the first start; a broken one is a failure.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {}; // fs rejects with an ErrnoException
    throw new Error(`The signer's memory ${path} cannot be read.`, { cause: error });
  }
}

/**
 * Values of upstreams' credentials, read from one directory of the operator's. A file holds one value; it is looked at
 * again at most once a second, and read again when it changed, so that a new value needs no new start. What the values
 * are put into is credentials.ts.
 */
import { open } from "node:fs/promises";
import { platform } from "node:os";
import { join } from "node:path";
import { type Clock, Failure } from "../ports.ts";
import { SECRET_LENGTH_MIN } from "./mask-secrets.ts";

export interface CredentialFiles {
  /** Failure `upstream_unavailable`; its message names the file and never what is in it. */
  read(file: string): Promise<string>;
}

export interface CredentialFilesOptions {
  /** Undefined: there is none, and no file is read. */
  readonly directory: string | undefined;
  readonly clock: Clock;
}

const LOOK_EVERY_MS = 1000;
const FILES_MAX = 1000;
const VALUE_BYTES_MAX = 8192;

interface Known {
  readonly value: string;
  readonly stamp: string;
  readonly lookedMs: number;
}

export function createCredentialFiles({ directory, clock }: CredentialFilesOptions): CredentialFiles {
  const known = new Map<string, Known>();
  const reading = new Map<string, Promise<string>>();

  async function look(file: string): Promise<string> {
    if (directory === undefined) throw unusable(file, "this gateway has no upstreams.credentialsDir to read it from");
    // Names with a slash, or that begin with a dot, are not taken by the control plane; a row could hold one.
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(file)) throw unusable(file, "that is no name of a file");
    const lookedMs = clock.monotonicMs();
    const handle = await open(join(directory, file), "r");
    try {
      const { dev, ino, size, mtimeNs, ctimeNs, mode } = await handle.stat({ bigint: true });
      if (platform() !== "win32" && (mode & 0o007n) !== 0n) throw unusable(file, "it is accessible to everybody");
      if (size > BigInt(VALUE_BYTES_MAX)) throw unusable(file, `it is larger than ${VALUE_BYTES_MAX} bytes`);
      const stamp = [dev, ino, size, mtimeNs, ctimeNs].join(":");
      const before = known.get(file);
      const value = before?.stamp === stamp ? before.value : readValue(file, await handle.readFile("utf8"));
      if (before === undefined && known.size >= FILES_MAX) known.clear();
      known.set(file, { value, stamp, lookedMs });
      return value;
    } finally {
      await handle.close();
    }
  }

  return {
    async read(file) {
      const now = known.get(file);
      if (now !== undefined && clock.monotonicMs() - now.lookedMs < LOOK_EVERY_MS) return now.value;
      const running = reading.get(file);
      if (running !== undefined) return running;
      const started = look(file)
        .catch((error: unknown) => {
          // A failure of the file system: what was known before is not used on.
          known.delete(file);
          if (error instanceof Failure) throw error;
          const code = (error as NodeJS.ErrnoException).code ?? "error"; // fs rejects with an ErrnoException
          throw unusable(file, code === "ENOENT" ? "there is no such file in upstreams.credentialsDir" : code, error);
        })
        .finally(() => reading.delete(file));
      reading.set(file, started);
      return started;
    },
  };
}

function readValue(file: string, text: string): string {
  const value = text.replace(/[\r\n]+$/, "");
  if (value.length < SECRET_LENGTH_MIN)
    throw unusable(file, `its value is shorter than ${SECRET_LENGTH_MIN} characters`);
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])$/.test(value)) {
    throw unusable(file, "its value is not one line of printable ASCII");
  }
  // Reflected in another's escapes these could not be told from the escapes.
  if (/["%\\]/.test(value)) throw unusable(file, "its value holds a quote, a percent sign or a backslash");
  return value;
}

function unusable(file: string, why: string, cause?: unknown): Failure {
  return new Failure("upstream_unavailable", `the credential ${JSON.stringify(file)} cannot be used: ${why}`, {
    cause,
  });
}

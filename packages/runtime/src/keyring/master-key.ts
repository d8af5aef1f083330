/**
 * Where the master key comes from: the environment, a file, or (development only) a file made on the first start.
 * What is done with it is keyring.ts. Nothing here ever prints a key.
 */
import { randomBytes } from "node:crypto";
import { loadSecretFile, SecretError } from "./secret-file.ts";

export interface MasterKey {
  readonly bytes: Uint8Array;
  /** environment, the file that was read, or the file that this start has made. */
  readonly origin:
    | { readonly kind: "environment" }
    | { readonly kind: "file"; readonly path: string }
    | { readonly kind: "created"; readonly path: string };
}

const KEY_BYTES = 32;
const FILE_BYTES_MAX = 1_024;
const MAKE_COMMAND = "openssl rand -base64 32";
/** Files that the zero-configuration start makes are marked, so that production can refuse them. */
const DEVELOPMENT_MARK = "writ-development-key-v1:";

export interface LoadMasterKeyOptions {
  readonly mode: "development" | "production";
  readonly masterKey: string | undefined;
  readonly masterKeyFile: string | undefined;
}

/** Throws `SecretError`. Only in development, and only when the file does not exist, is one made (mode 0600). */
export async function loadMasterKey(options: LoadMasterKeyOptions): Promise<MasterKey> {
  if (options.masterKey !== undefined) {
    return {
      bytes: decodeKey(options.masterKey, options.mode, "WRIT_KEYS_MASTER_KEY"),
      origin: { kind: "environment" },
    };
  }
  const path = options.masterKeyFile;
  if (path === undefined) throw new SecretError("No master key is configured: give keys.masterKeyFile.");
  const { bytes, created } = await loadSecretFile({
    path,
    what: "master key file",
    bytesMax: FILE_BYTES_MAX,
    mode: options.mode,
    command: MAKE_COMMAND,
    make: () => `${DEVELOPMENT_MARK}${randomBytes(KEY_BYTES).toString("base64")}\n`,
  });
  return {
    bytes: decodeKey(bytes.toString("utf8"), options.mode, path),
    origin: { kind: created ? "created" : "file", path },
  };
}

function decodeKey(text: string, mode: "development" | "production", place: string): Uint8Array {
  let body = text.trim();
  if (body.startsWith(DEVELOPMENT_MARK)) {
    if (mode === "production") {
      throw new SecretError(
        `${place} holds a key that a development start made. Production wants one of its own: ${MAKE_COMMAND}`,
      );
    }
    body = body.slice(DEVELOPMENT_MARK.length);
  }
  const bytes = Buffer.from(body, "base64");
  const canonical = bytes.toString("base64").replaceAll("=", "");
  if (bytes.length !== KEY_BYTES || canonical !== body.replaceAll("-", "+").replaceAll("_", "/").replaceAll("=", "")) {
    throw new SecretError(`${place} must hold 32 bytes in base64. Make a key with: ${MAKE_COMMAND}`);
  }
  // 32 random bytes have fewer than 16 distinct values once in 10^13 keys; typed or repeated ones nearly always do.
  if (new Set(bytes).size < 16 || /^[\x20-\x7e]+$/.test(bytes.toString("latin1"))) {
    throw new SecretError(`${place} does not look random. Make a key with: ${MAKE_COMMAND}`);
  }
  return new Uint8Array(bytes);
}

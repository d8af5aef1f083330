/**
 * The Ed25519 key that signs checkpoints: read from a file of its own, made there on a development start. Only this
 * folder ever holds it; everybody else gets the verifier's key.
 */
import { createPrivateKey, type KeyObject, randomBytes } from "node:crypto";
import { loadSecretFile, SecretError } from "@writ/runtime";

const PEM_BYTES_MAX = 4_096;
/** PKCS #8 of an Ed25519 key (RFC 8410 section 7) without its 32 bytes of seed. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

export interface CheckpointKeyOptions {
  readonly file: string;
  /** Production never writes secrets: the file must be there. */
  readonly mode: "development" | "production";
}

/** Throws `SecretError`. `created` says that this start has made the file (mode 0600). */
export async function loadCheckpointKey(
  options: CheckpointKeyOptions,
): Promise<{ readonly privateKey: KeyObject; readonly created: boolean }> {
  const { bytes, created } = await loadSecretFile({
    path: options.file,
    what: "checkpoint key",
    bytesMax: PEM_BYTES_MAX,
    mode: options.mode,
    command: "openssl genpkey -algorithm ed25519",
    make: makeKey,
  });
  return { privateKey: readKey(bytes, options.file), created };
}

function readKey(pem: Buffer, file: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // A failure to be said without its cause, which may quote what the file holds.
    throw new SecretError(`The checkpoint key ${file} cannot be read.`);
  }
  if (key.asymmetricKeyType !== "ed25519") throw new SecretError(`The checkpoint key ${file} is not Ed25519.`);
  return key;
}

function makeKey(): string {
  const der = Buffer.concat([PKCS8_PREFIX, randomBytes(32)]);
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
}

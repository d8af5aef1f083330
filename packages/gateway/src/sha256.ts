/** One-shot SHA-256. The binary-string form with a copy is the fastest way that this runtime has to 32 bytes. */
import { hash } from "node:crypto";

export function sha256(data: Uint8Array): Uint8Array {
  const text = hash("sha256", data, "binary");
  const bytes = new Uint8Array(32);
  for (let index = 0; index < 32; index += 1) bytes[index] = text.charCodeAt(index);
  return bytes;
}

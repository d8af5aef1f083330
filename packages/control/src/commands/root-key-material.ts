/** Makes a root key and opens a stored one. The key in the clear lives for one function call. */
import type { RootKey } from "@writ/contract";
import type { ControlContext } from "../control-context.ts";

const ROOT_KEY_BYTES = 32;

export function makeRootKey(
  context: Pick<ControlContext, "keyring" | "random">,
  tenantId: string,
  keyId: string,
): RootKey {
  const secret = context.random.bytes(ROOT_KEY_BYTES);
  const wrapped = context.keyring.wrap({ tenantId, kind: "root_key", id: keyId }, secret, context.random.bytes(12));
  secret.fill(0);
  return { status: "active", wrapped };
}

export function openRootKey(
  context: Pick<ControlContext, "keyring">,
  tenantId: string,
  keyId: string,
  key: RootKey,
): Uint8Array {
  return context.keyring.unwrap({ tenantId, kind: "root_key", id: keyId }, key.wrapped);
}

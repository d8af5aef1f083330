/** Makes a new root key that mints. The one before goes on verifying until it is retired. */
import type { RootKeyRotateAnswer } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { makeRootKey } from "./root-key-material.ts";

/** Keys of a tenant that are not retired: a gateway holds all of them in memory. */
const ROOT_KEYS_MAX = 64;

export function rotateRootKey(context: ControlContext, actor: Actor, tenantId: string): Promise<RootKeyRotateAnswer> {
  const id = makeId(context);
  const key = makeRootKey(context, tenantId, id);
  return context.store.command(actor, tenantId, async (transaction) => {
    const keys = await transaction.find("root_key");
    if (keys.filter((one) => one.value.status !== "retired").length >= ROOT_KEYS_MAX) {
      throw new Problem("state_conflict", `There are ${ROOT_KEYS_MAX} root keys in use; retire one first.`);
    }
    let previous = "";
    for (const one of keys) {
      if (one.value.status !== "active") continue;
      previous = one.id;
      await transaction.put("root_key", one.id, { ...one.value, status: "verifying" }, one.version);
    }
    const version = await transaction.put("root_key", id, key, 0);
    transaction.record("root_key.rotated", { version, keyId: id, previous });
    return { key: { id, version, status: key.status }, previous };
  });
}

/**
 * The idempotency keys of one batch, as columns of `writ_journal_commit`. Most batches have none. Decides nothing: which
 * call gets a key that several name is found where the keys are.
 */
import type { SqlValue } from "@writ/db";
import { arrayText } from "./pack-claims.ts";

export interface KeyedAllow {
  /** The number of its tenant and its place among the entries, from 1. */
  readonly tenant: number;
  readonly place: number;
  readonly callId: string;
  readonly key: Uint8Array;
}

export interface KeyPacker {
  /** Whether no allow before it names the same key of the same tenant. */
  pack(allow: KeyedAllow): boolean;
  readonly values: () => readonly SqlValue[];
  readonly detail: () => readonly string[];
}

const KEY_BYTES = 32;
/** The columns of a batch without keys. */
export const NO_KEYS: readonly SqlValue[] = [null, null, null];

export function createKeyPacker(): KeyPacker {
  const allows: (Omit<KeyedAllow, "key"> & { readonly hex: string; readonly group: number })[] = [];
  const firsts = new Map<string, number>();
  return {
    pack({ key, ...allow }) {
      if (key.length !== KEY_BYTES) throw new TypeError(`a key has ${KEY_BYTES} bytes`);
      const hex = Buffer.from(key).toString("hex");
      const name = `${allow.tenant} ${hex}`;
      const group = firsts.get(name) ?? allows.length + 1;
      allows.push({ ...allow, hex, group });
      firsts.set(name, group);
      return group === allows.length;
    },
    values: () => [
      allows.map(({ tenant }) => tenant),
      allows.map(({ callId }) => callId),
      `\\x${allows.map(({ hex }) => hex).join("")}`,
    ],
    detail: () => [arrayText(allows.map(({ place }) => place)), arrayText(allows.map(({ group }) => group))],
  };
}

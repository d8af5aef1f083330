/** What every command and query of the control plane is given, and who is acting. Made once, by create-control.ts. */
import { type AuditEvent, type EventName, makeUuidv7 } from "@writ/contract";
import type { AdminGrant, AdminPermission } from "@writ/contract/admin";
import type { Keyring, Logger } from "@writ/runtime";
import type { VerifiedPositions } from "./queries/verify-log.ts";
import type { CheckpointSigner } from "./signer/checkpoint-signer.ts";
import type { ControlStore } from "./store/control-store.ts";

export interface Clock {
  nowMs(): number;
}

export interface Random {
  bytes(length: number): Uint8Array;
}

export interface ControlContext {
  readonly store: ControlStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly checkpoints: Pick<CheckpointSigner, "list" | "notes" | "verifierKey" | "origin" | "refusal">;
  /** Ids of tenants by name, as last seen; a hint that is checked. */
  readonly tenantIds: Map<string, string>;
  readonly verifiedPositions: VerifiedPositions;
  /** What minted tokens name in `aud` unless told otherwise: `gateway.audience`. */
  readonly audience: string;
}

/** Who is acting: an authenticated admin key, or Writ itself at its first start. Never taken from a body. */
export interface Actor {
  /** As events name it: `admin_key:<id>`, or `system:<what>`. */
  readonly by: string;
  /** The tenant of the key; the instance's for keys of the instance. */
  readonly tenantId: string;
  readonly grants: ReadonlySet<AdminGrant>;
}

export function hasPermission(actor: Actor, permission: AdminPermission): boolean {
  return actor.grants.has("*") || actor.grants.has(permission);
}

export function makeId(context: Pick<ControlContext, "clock" | "random">): string {
  return makeUuidv7(context.clock.nowMs(), context.random.bytes(10));
}

export type EventFields<N extends EventName> = Extract<AuditEvent, { readonly event: N }>["fields"];

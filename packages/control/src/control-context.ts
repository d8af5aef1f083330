/** What every command and query of the control plane is given. Made once, by create-control.ts. */
import { makeUuidv7 } from "@writ/contract";
import type { Keyring, Logger } from "@writ/runtime";
import type { Clock, Random } from "./clock.ts";
import type { VerifiedPositions } from "./queries/verified-positions.ts";
import type { CheckpointSigner } from "./signer/checkpoint-signer.ts";
import type { ControlStore } from "./store/control-store.ts";

export interface ControlContext {
  readonly store: ControlStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Aborted when the plane stops: whatever waits for others ends. */
  readonly stopping: AbortSignal;
  readonly checkpoints: Pick<CheckpointSigner, "list" | "notes" | "epochSeen" | "verifierKey" | "origin" | "refusal">;
  /** Ids of tenants by name, as last seen; a hint that is checked. */
  readonly tenantIds: Map<string, string>;
  readonly verifiedPositions: VerifiedPositions;
  /** What minted tokens name in `aud` unless told otherwise: `gateway.audience`. */
  readonly audience: string;
}

export function makeId(context: Pick<ControlContext, "clock" | "random">): string {
  return makeUuidv7(context.clock.nowMs(), context.random.bytes(10));
}

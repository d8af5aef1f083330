/** Puts the control plane together from plain parameters: store, signer, listener. Reads no configuration by itself. */
import type { AddressInfo } from "node:net";
import type { Database } from "@writ/db";
import { type Config, type Keyring, type Logger, listenNear } from "@writ/runtime";
import type { Clock, Random } from "./clock.ts";
import { type BootstrapOptions, type BootstrapResult, bootstrap, pinStarter } from "./commands/bootstrap.ts";
import type { ControlContext } from "./control-context.ts";
import { createPartitionKeeper } from "./partitions/partition-keeper.ts";
import { createPruner } from "./pruning/pruner.ts";
import { createVerifiedPositions } from "./queries/verified-positions.ts";
import { createCarveRefunder } from "./refunds/carve-refunder.ts";
import { createServer } from "./server/create-server.ts";
import { loadCheckpointKey } from "./signer/checkpoint-key.ts";
import { type CheckpointSigner, createCheckpointSigner } from "./signer/checkpoint-signer.ts";
import { createHistoryStore } from "./store/history-store.ts";

export interface ControlOptions {
  /** Of the role `control`; one that is still being opened is waited for after what needs none. Closed by whoever opens it. */
  readonly db: Database | Promise<Database>;
  readonly keyring: Keyring;
  readonly config: Pick<Config, "mode" | "control" | "checkpoints" | "keys"> & {
    readonly gateway: Pick<Config["gateway"], "audience">;
  };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface Control {
  /** Listens, and begins to sign checkpoints, to refund carves and to prune. Resolves to the port listened on, and the one that was wanted. */
  listen(): Promise<{ readonly port: number; readonly wanted: number }>;
  /** Refuses new requests, lets running ones finish, signs a last checkpoint. */
  drain(): Promise<void>;
  /** Ends the listener. After `drain`, or without it in an emergency. */
  close(): Promise<void>;
  readonly address: { readonly host: string; readonly port: number } | undefined;
  /** What a first start makes; finds everything when it was made before. */
  bootstrap(options: BootstrapOptions): Promise<BootstrapResult>;
  /** Pins what the gateway saw of the starter upstream, unless tools of it are pinned. Waits for a gateway, until `signal`. */
  pinStarter(starter: NonNullable<BootstrapResult["starter"]>, signal: AbortSignal): Promise<void>;
  readonly signer: Pick<CheckpointSigner, "signDue" | "verifierKey" | "refusal">;
}

export async function createControl(options: ControlOptions): Promise<Control> {
  const { keyring, config, clock, random, log } = options;
  let draining = false;
  // Compiling the schemas of its routes is most of the work, and a database that is being opened leaves the time for it.
  const [db, server] = await Promise.all([
    options.db,
    createServer({
      context: () => context,
      log,
      allowedHosts: config.control.allowedHosts,
      isDraining: () => draining,
      ready: async () => {
        try {
          await db.query("SELECT 1");
          return true;
        } catch {
          return false; // a failure of the database is what this probe is for
        }
      },
    }),
  ]);
  const store = createHistoryStore({ db, clock, random });
  const { privateKey, created } = await loadCheckpointKey({ file: config.keys.checkpointKeyFile, mode: config.mode });
  if (created)
    log.warn(
      { file: config.keys.checkpointKeyFile },
      "made a key for checkpoints; keep it out of backups of the database",
    );
  const signer = await createCheckpointSigner({
    store,
    clock,
    log,
    privateKey,
    file: config.checkpoints.file,
    intervalSeconds: config.checkpoints.intervalSeconds,
  });
  const refunder = createCarveRefunder({ store, log });
  const pruner = createPruner({ store, log });
  const stopping = new AbortController();
  const context: ControlContext = {
    store,
    stopping: stopping.signal,
    keyring,
    clock,
    random,
    log,
    audience: config.gateway.audience,
    checkpoints: signer,
    tenantIds: new Map(),
    verifiedPositions: createVerifiedPositions(),
  };
  const partitions = createPartitionKeeper({ db, log });
  const { host } = config.control;

  return {
    async listen() {
      const found = await listenNear({
        plane: "control",
        mode: config.mode,
        port: config.control.port,
        listen: async (port) => {
          await server.listen({ host, port });
          return (server.server.address() as AddressInfo).port; // a TCP listener has an AddressInfo
        },
      });
      signer.start();
      refunder.start();
      pruner.start();
      partitions.start();
      return found;
    },
    async drain() {
      draining = true;
      stopping.abort();
      await server.close();
      await Promise.all([refunder.stop(), pruner.stop()]);
      await signer.drain();
    },
    async close() {
      draining = true;
      stopping.abort();
      partitions.stop();
      signer.stop();
      await Promise.all([refunder.stop(), pruner.stop()]);
      await server.close();
    },
    get address() {
      const address = server.server.address();
      return address === null || typeof address === "string"
        ? undefined
        : { host: address.address, port: address.port };
    },
    bootstrap: (given) => bootstrap(context, given),
    pinStarter: (starter, signal) => pinStarter(context, starter, signal),
    signer,
  };
}

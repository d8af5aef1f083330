/**
 * Signs checkpoints of every tenant's log and appends them to a file outside the database. It signs only what extends
 * the last checkpoint that it remembers: the leaves since then are read and the tree continued from the remembered
 * frontier, so a changed, shortened or forked log is refused, loudly and until an administrator acts.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import {
  appendLeaves,
  type CheckpointKey,
  checkpointFileEntry,
  checkpointOrigin,
  EMPTY_FRONTIER,
  mayExtend,
  rootOf,
  signCheckpoint,
  verifierKey,
} from "@writ/audit";
import {
  type CheckpointSelection,
  createCheckpointSelection,
  parseCheckpoint,
  readCheckpointFile,
} from "@writ/audit/verify";
import type { CheckpointView } from "@writ/contract/admin";
import { type Logger, makeDirectory } from "@writ/runtime";
import type { Clock } from "../clock.ts";
import type { ControlStore, TenantHead } from "../store/control-store.ts";
import { openSignerMemory, type SignerMemory } from "./signer-memory.ts";

export interface CheckpointSigner {
  /** Looks at every log once and signs what has grown, or what was signed last a day ago. */
  signDue(force?: boolean): Promise<void>;
  /** Begins to sign by itself, at intervals. */
  start(): void;
  /** Signs no more by itself; a round that runs ends by itself. */
  stop(): void;
  /** Signs what has grown, for the last time. */
  drain(): Promise<void>;
  /** Of each of the tenant's latest epochs what `notes` gives. */
  list(tenantId: string): Promise<readonly CheckpointView[]>;
  /** The highest epoch of a tenant that was ever signed, as far as memory and file know; 0 when none was. */
  epochSeen(tenantId: string): Promise<number>;
  /** Signed notes of one log, in the order of the file: a selection of them when there are very many. */
  notes(tenantId: string, epoch: number): Promise<readonly string[]>;
  readonly verifierKey: string;
  /** `<prefix>/<tenant>/<epoch>`. */
  origin(tenantId: string, epoch: number): string;
  /** Why the signer refuses a tenant's log of this epoch; undefined when it does not, or has not looked at it yet. */
  refusal(tenantId: string, epoch: number): string | undefined;
}

export interface CheckpointSignerOptions {
  readonly store: ControlStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly privateKey: KeyObject;
  readonly file: string;
  readonly intervalSeconds: number;
  /** Beginning of origins; `writ.local/<key>` when left out. */
  readonly originPrefix?: string;
}

/** A log that has grown by this much is signed before its interval is over. */
const ENTRIES_MAX = 10_000;
const POLL_MS = 1_000;
const IDLE_MS = 24 * 60 * 60_000;
/** Leaves of one read: each is 32 bytes. */
const LEAVES_PER_READ = 10_000;
/** One reading of the file takes a piece of this size at a time; the file itself may have any. */
const PIECE_BYTES = 256 * 1024;
const EPOCHS_LISTED_MAX = 16;

export async function createCheckpointSigner(options: CheckpointSignerOptions): Promise<CheckpointSigner> {
  const { store, clock, log } = options;
  await makeDirectory(dirname(options.file), { what: "checkpoints.file" });
  const memory: SignerMemory = await openSignerMemory(`${options.file}.signer.json`);
  const publicKey = createPublicKey(options.privateKey);
  const prefix = options.originPrefix ?? `writ.local/${keyFingerprint(publicKey)}`;
  const key: CheckpointKey = { name: prefix, privateKey: options.privateKey };
  const refusals = new Map<string, { readonly epoch: number; readonly reason: string }>();
  const signedAt = new Map<string, number>();
  let damagedSaid = 0;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  function refuse({ tenantId, epoch }: TenantHead, reason: string): void {
    const known = refusals.get(tenantId);
    if (known?.epoch === epoch && known.reason === reason) return;
    refusals.set(tenantId, { epoch, reason });
    log.error({ tenantId, reason }, "THE LOG DOES NOT EXTEND ITS LAST CHECKPOINT: no checkpoint is signed");
  }

  async function signOne(head: TenantHead, force: boolean): Promise<void> {
    const { tenantId } = head;
    if (head.sequence === 0) return;
    const last = memory.get(tenantId);
    const nowMs = clock.nowMs();
    const grown = last === undefined || head.epoch !== last.epoch ? head.sequence : head.sequence - last.size;
    const sinceMs = nowMs - (signedAt.get(tenantId) ?? last?.signedAtMs ?? 0);
    const due =
      grown !== 0 && (force || grown >= ENTRIES_MAX || grown < 0 || sinceMs >= options.intervalSeconds * 1000);
    if (!due && sinceMs < IDLE_MS) return;

    const root = Buffer.from(rootOf(head.frontier, head.sequence)).toString("hex");
    const next = { epoch: head.epoch, size: head.sequence, root };
    const continued = await continueTree(store, tenantId, last, head);
    const verdict = mayExtend(last, next, continued);
    // An unknown verdict is a refusal too.
    if (verdict.kind !== "extends" && verdict.kind !== "unchanged") return refuse(head, verdict.reason);
    if (!continued) return refuse(head, "inconsistent");
    refusals.delete(tenantId);
    const origin = checkpointOrigin({ prefix, tenantId, epoch: head.epoch });
    const note = signCheckpoint(key, {
      origin,
      size: head.sequence,
      root: rootOf(head.frontier, head.sequence),
      chainHash: head.hash,
    });
    // Remembered before it is published: a crash in between leaves a checkpoint unpublished, never one forgotten.
    const frontier = Buffer.from(head.frontier).toString("hex");
    await memory.set(tenantId, { ...next, frontier, signedAtMs: nowMs });
    await appendNote(options.file, note);
    signedAt.set(tenantId, nowMs);
  }

  async function signDue(force = false): Promise<void> {
    for (const head of await store.heads()) {
      try {
        await signOne(head, force);
      } catch (error) {
        // A failure of the database or the disk: said, and tried again at the next round. Others go on.
        log.error({ err: error, tenantId: head.tenantId }, "a checkpoint could not be made");
      }
    }
  }

  /** Rounds never overlap. */
  function next(force: boolean): Promise<void> {
    running = running
      .then(() => signDue(force))
      .catch((error: unknown) => {
        log.error({ err: error }, "checkpoints could not be made"); // a failure, tried again at the next round
      });
    return running;
  }

  async function readNotes(take: (origin: string, note: string) => void): Promise<void> {
    let damaged = 0;
    for await (const part of readCheckpointFile(readText(options.file))) {
      for (const note of part.notes) take(note.slice(0, note.indexOf("\n")), note);
      damaged += part.damaged.length;
    }
    // What is torn at the end may be a note that is being written. It is damaged once another follows it.
    if (damaged > damagedSaid)
      log.error({ file: options.file, damaged }, "the checkpoint file holds what is no checkpoint");
    damagedSaid = damaged;
  }

  return {
    signDue: (force = false) => next(force),
    start() {
      timer ??= setInterval(() => void next(false), Math.min(POLL_MS, options.intervalSeconds * 1000)); // rounds report by themselves
      timer.unref();
    },
    stop: () => clearInterval(timer),
    async drain() {
      clearInterval(timer);
      await next(true);
    },
    async list(tenantId) {
      const epochs = new Map<number, CheckpointSelection>();
      await readNotes((origin, note) => {
        const [, tenant, epochText] = ORIGIN.exec(origin) ?? [];
        if (tenant !== tenantId) return;
        const epoch = Number(epochText);
        const selection = epochs.get(epoch) ?? createCheckpointSelection();
        selection.add(note);
        epochs.set(epoch, selection);
        if (epochs.size > EPOCHS_LISTED_MAX) epochs.delete(Math.min(...epochs.keys()));
      });
      const notes = [...epochs.values()].flatMap((selection) => selection.notes());
      return notes.map((note) => viewOf(note, tenantId)).filter((view) => view !== undefined);
    },
    async epochSeen(tenantId) {
      let seen = memory.get(tenantId)?.epoch ?? 0;
      for await (const line of readLines(options.file)) {
        const [, tenant, epoch] = ORIGIN.exec(line) ?? [];
        if (tenant === tenantId) seen = Math.max(seen, Number(epoch));
      }
      return seen;
    },
    async notes(tenantId, epoch) {
      const end = `/${tenantId}/${epoch}`;
      const selection = createCheckpointSelection();
      await readNotes((origin, note) => {
        if (origin.endsWith(end)) selection.add(note);
      });
      return selection.notes();
    },
    verifierKey: verifierKey(prefix, publicKey),
    origin: (tenantId, epoch) => checkpointOrigin({ prefix, tenantId, epoch }),
    refusal(tenantId, epoch) {
      const known = refusals.get(tenantId);
      return known?.epoch === epoch ? known.reason : undefined;
    },
  };
}

/** Whether the leaves since `last` lead from its tree to the head's. Each read is a short transaction of its own. */
async function continueTree(
  store: ControlStore,
  tenantId: string,
  last: { readonly epoch: number; readonly size: number; readonly frontier: string } | undefined,
  head: TenantHead,
): Promise<boolean> {
  const same = last !== undefined && last.epoch === head.epoch;
  if (same && last.size > head.sequence) return false;
  let size = same ? last.size : 0;
  let frontier: Uint8Array = same ? Buffer.from(last.frontier, "hex") : EMPTY_FRONTIER;
  while (size < head.sequence) {
    const from = size;
    // One value for a whole page: the leaves alone, in order, and how many there are.
    const rows = await store.read([tenantId], (transaction) =>
      transaction.query<{ readonly leaves: Uint8Array | null; readonly last: number | null }>(
        `SELECT string_agg(leaf, ''::bytea ORDER BY sequence) AS leaves, max(sequence) AS last FROM (
          SELECT sequence, leaf FROM audit_event
          WHERE tenant_id = $1 AND epoch = $2 AND sequence > $3 AND sequence <= $4 ORDER BY sequence LIMIT $5) AS page`,
        [tenantId, head.epoch, from, head.sequence, LEAVES_PER_READ],
      ),
    );
    const leaves = rows[0]?.leaves ?? new Uint8Array(0);
    // As many leaves as sequences, so that none is missing between the first and the last.
    if (rows[0]?.last !== from + leaves.length / 32) return false;
    frontier = appendLeaves(frontier, size, leaves);
    size += leaves.length / 32;
    if (size === from) return false;
  }
  return Buffer.from(frontier).equals(Buffer.from(head.frontier));
}

/** What an earlier writing left that was cut short is ended first: this note would become part of it. */
async function appendNote(path: string, note: string): Promise<void> {
  const file = await open(path, "a+", 0o644);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, Math.max(0, size - 2));
    const whole = size === 0 || buffer.toString("latin1", 0, bytesRead) === "\n\n";
    await file.writeFile(`${whole ? "" : CUT_SHORT}${checkpointFileEntry(note)}`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A line that stands neither in a checkpoint nor among signatures, so that what it ends is read as damaged. */
const CUT_SHORT = "\n(cut short)\n\n";

/** The end of the line that begins a note. */
const ORIGIN = /\/([0-9a-f-]{36})\/(\d{1,9})$/;

/** Line by line, however long the file has become. */
async function* readLines(path: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(path, "utf8"), crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    // No file yet: nothing was signed.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // fs rejects with an ErrnoException
  }
}

async function* readText(path: string): AsyncGenerator<string> {
  try {
    // With an encoding a stream of a file gives strings.
    yield* createReadStream(path, { encoding: "utf8", highWaterMark: PIECE_BYTES }) as AsyncIterable<string>;
  } catch (error) {
    // No file yet: nothing was signed.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // fs rejects with an ErrnoException
  }
}

function viewOf(note: string, tenantId: string): CheckpointView | undefined {
  const reading = parseCheckpoint(note);
  if (reading.kind === "malformed") return undefined;
  const { origin, size, root } = reading.unverifiedCheckpoint;
  const [tenant, epoch] = origin.split("/").slice(-2);
  if (tenant !== tenantId || epoch === undefined) return undefined;
  return { epoch: Number(epoch), size, root: Buffer.from(root).toString("hex"), note };
}

/** 8 bytes that name a public key. */
function keyFingerprint(key: KeyObject): string {
  const { x } = key.export({ format: "jwk" });
  return Buffer.from(x ?? "", "base64url")
    .subarray(0, 8)
    .toString("hex");
}

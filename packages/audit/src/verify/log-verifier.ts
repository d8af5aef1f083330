/**
 * Verifies one epoch of one tenant's log, entry by entry and in constant memory: links from the genesis or from a
 * position verified before, the tree against checkpoints, seals against the chain keys, the end against the head.
 * It reads no database and no file, and trusts nothing but what its caller hands it as trusted: verifier keys, chain
 * keys and the position to start from. Naming the damage is `diagnose.ts`.
 */
import type { KeyObject } from "node:crypto";
import { type Checkpoint, isOriginOf, verifyCheckpoint } from "./checkpoint.ts";
import { diagnose, isReadable, type LogEnd, type LogEntry } from "./diagnose.ts";
import { FINDINGS_MAX, type Finding } from "./findings.ts";
import { genesisHash, leafHash, linkHash, pushLeaf, readTree, type TreeState, treeRoot } from "./link.ts";
import { checkSeal, readSeal } from "./seal.ts";

/** How many entries are looked at together to name a damage. */
export const DIAGNOSIS_WINDOW = 64;
/** How many hashes are remembered, for seals and repeated entries. A seal of an older entry is counted as unchecked. */
export const REMEMBERED_HASHES = 16_384;
/** How many checkpoints one verification takes. */
export const CHECKPOINTS_MAX = 1_000_000;

/** A position that an earlier verification ended at. */
export interface VerifiedPosition {
  readonly sequence: number;
  readonly hash: Uint8Array;
  readonly frontier: Uint8Array;
}

export interface LogVerifierOptions {
  readonly tenantId: string;
  readonly epoch: number;
  /** Signed notes. Each must be signed by one of `verifierKeys`; those of other logs are left aside. */
  readonly checkpoints?: readonly string[];
  /** `name+hash+base64` keys that the caller trusts. */
  readonly verifierKeys?: readonly string[];
  /** The tenant's chain keys by key id. When given, every seal must be made with one of them. */
  readonly chainKeys?: ReadonlyMap<string, KeyObject | Uint8Array>;
  /** The most entries that may stand without a seal of them in the log; only with `chainKeys`. Unlimited if left out. */
  readonly sealGapMax?: number;
  /** Starts after this position; at the genesis if left out. */
  readonly from?: VerifiedPosition;
}

/** The head as the database has it. */
export interface StoredHead {
  readonly sequence: number;
  readonly hash: Uint8Array;
  readonly root?: Uint8Array | undefined;
}

/** What was compared with what: an intact log is only as trustworthy as what vouches for it. */
export interface Coverage {
  /** Entries read. */
  readonly entries: number;
  /** The start is the genesis, or a verified checkpoint agrees with the position that was started from. */
  readonly startVouched: boolean;
  readonly checkpointsAgreed: number;
  /** Checkpoints of other logs, or of sizes before the start, whose signature alone was checked. */
  readonly checkpointsUnchecked: number;
  /** The largest size that a verified checkpoint of this log agrees with; 0 when none does. */
  readonly checkpointedThrough: number;
  readonly sealsAgreed: number;
  /** Seals of entries too old to compare, or read without a chain key. */
  readonly sealsUnchecked: number;
  /** The last sequence that a genuine seal covers; 0 when none does. What lies after both rests on the database. */
  readonly sealedThrough: number;
}

export type LogVerdict =
  | {
      readonly kind: "intact";
      /** Where the next verification can start. */
      readonly position: VerifiedPosition;
      readonly root: Uint8Array;
      readonly coverage: Coverage;
    }
  | {
      readonly kind: "damaged";
      /** At least one, by sequence. */
      readonly findings: readonly Finding[];
      readonly findingsOmitted: number;
      readonly coverage: Coverage;
    };

export interface LogVerifier {
  /** Takes the next entry, in the order of sequence. */
  add(entry: LogEntry): void;
  /** Ends the reading. Without a head, entries missing at the end are found only through checkpoints. */
  end(head?: StoredHead): LogVerdict;
}

/**
 * Makes a verifier of one log. Throws a TypeError when an option itself cannot be used (a key that is none, a frontier
 * of the wrong size, too many checkpoints); whatever is wrong with the log is a finding.
 */
export function createLogVerifier(options: LogVerifierOptions): LogVerifier {
  const { tenantId, epoch, checkpoints = [], verifierKeys = [], chainKeys, sealGapMax, from } = options;
  if (!UUID.test(tenantId)) throw new TypeError("tenantId is no lower-case UUID");
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw new TypeError("epoch is no safe integer from 0");
  if (checkpoints.length > CHECKPOINTS_MAX) throw new TypeError(`more than ${CHECKPOINTS_MAX} checkpoints`);
  if (from !== undefined && from.hash.length !== 32) throw new TypeError("the hash to start from is 32 bytes");
  const start: LogEnd =
    from === undefined
      ? { sequence: 0, hash: genesisHash(tenantId, epoch) }
      : { sequence: from.sequence, hash: Uint8Array.from(from.hash) };
  const startTree = readTree(from?.frontier ?? new Uint8Array(0), start.sequence);
  if (startTree === undefined) throw new TypeError("the frontier to start from does not fit its sequence");

  const findings: Finding[] = [];
  let findingsOmitted = 0;
  let lastSequence = start.sequence;
  let lastHash: Uint8Array = start.hash;
  let shift = 0;
  let tree: TreeState | undefined = startTree;
  let entries = 0;
  let queue: LogEntry[] = [];
  const remembered = new Array<Uint8Array | undefined>(REMEMBERED_HASHES);
  remembered[start.sequence % REMEMBERED_HASHES] = start.hash;
  let sealsAgreed = 0;
  let sealsUnchecked = 0;
  let sealedThrough = start.sequence;
  let sealGapReported = false;
  const seals: { readonly sequence: number; readonly disagrees: string | undefined }[] = [];
  const agreements: { readonly checkpoint: Checkpoint; readonly disagrees: string | undefined }[] = [];

  function report(finding: Finding): void {
    if (findings.length < FINDINGS_MAX) findings.push(finding);
    else findingsOmitted += 1;
  }

  const { own, unchecked } = readCheckpoints();
  const beyond = own.filter((checkpoint) => checkpoint.size >= start.sequence);
  let nextCheckpoint = 0;
  compareCheckpoints();

  function readCheckpoints(): { own: Checkpoint[]; unchecked: number } {
    const mine: Checkpoint[] = [];
    let others = 0;
    for (const note of new Set(checkpoints)) {
      const check = verifyCheckpoint(note, verifierKeys);
      if (check.kind === "rejected") {
        report({ damage: "checkpoint_wrong", sequence: start.sequence + 1, detail: check.detail });
      } else if (isOriginOf(check.checkpoint.origin, { tenantId, epoch })) {
        mine.push(check.checkpoint);
        if (check.checkpoint.size < start.sequence) others += 1;
      } else {
        others += 1;
      }
    }
    return { own: mine.sort((one, other) => one.size - other.size), unchecked: others };
  }

  function compareCheckpoints(): void {
    for (; ; nextCheckpoint += 1) {
      const checkpoint = beyond[nextCheckpoint];
      if (checkpoint === undefined || checkpoint.size > lastSequence) return;
      if (checkpoint.size < lastSequence) continue; // its entry is missing; that is a finding already
      const chain = checkpoint.chainHash !== undefined && Buffer.compare(checkpoint.chainHash, lastHash) !== 0;
      const root = tree !== undefined && Buffer.compare(checkpoint.root, treeRoot(tree)) !== 0;
      const comparable = tree !== undefined || checkpoint.chainHash !== undefined;
      const disagrees = root ? "root" : chain ? "link" : undefined;
      if (comparable) agreements.push({ checkpoint, disagrees });
    }
  }

  function accept(entry: LogEntry, sequence: number, hash: Uint8Array, leaf: Uint8Array | undefined): void {
    lastSequence = sequence;
    lastHash = hash;
    remembered[sequence % REMEMBERED_HASHES] = hash;
    if (leaf === undefined) tree = undefined;
    else if (tree !== undefined) pushLeaf(tree, leaf);
    const next = beyond[nextCheckpoint];
    if (next !== undefined && next.size <= sequence) compareCheckpoints();
    const seal = readSeal(entry.event);
    if (seal !== undefined) compareSeal(seal, sequence);
    if (
      sealGapMax !== undefined &&
      chainKeys !== undefined &&
      !sealGapReported &&
      sequence - sealedThrough > sealGapMax
    ) {
      sealGapReported = true;
      const detail = `no genuine seal covers what follows entry ${sealedThrough}`;
      report({ damage: "seal_missing", sequence: sealedThrough + 1, through: sequence, detail });
    }
  }

  function compareSeal(seal: Exclude<ReturnType<typeof readSeal>, undefined>, at: number): void {
    if (seal === "malformed") {
      report({ damage: "seal_wrong", sequence: at, detail: "the seal cannot be read" });
      return;
    }
    const here = seal.epoch === epoch ? hashOf(seal.sequence) : undefined;
    const agrees = here === undefined ? undefined : Buffer.from(here).toString("hex") === seal.hash;
    const chainKey = chainKeys?.get(seal.keyId);
    if (chainKeys !== undefined && chainKey === undefined) {
      report({
        damage: "seal_wrong",
        sequence: at,
        detail: `it names the key ${JSON.stringify(seal.keyId)}, which was not given`,
      });
    } else if (chainKey !== undefined && checkSeal(chainKey, tenantId, seal) === "forged") {
      report({
        damage: "seal_wrong",
        sequence: at,
        detail: `it was not made with the chain key ${JSON.stringify(seal.keyId)}`,
      });
    } else if (seal.epoch === epoch && seal.sequence >= at) {
      seals.push({
        sequence: at,
        disagrees: `the seal at ${at} speaks of entry ${seal.sequence}, which comes after it`,
      });
    } else if (agrees === undefined) {
      sealsUnchecked += 1;
    } else {
      const disagrees = agrees ? undefined : `a seal in it names another hash for entry ${seal.sequence}`;
      seals.push({ sequence: seal.sequence, disagrees });
      if (agrees && chainKey !== undefined) {
        sealsAgreed += 1;
        sealedThrough = Math.max(sealedThrough, seal.sequence);
      } else if (agrees) sealsUnchecked += 1;
      // The oldest that agree are forgotten: only the last before a disagreement matters, and that one stays.
      const oldest = seals.length > REMEMBERED_HASHES ? seals.findIndex((one) => one.disagrees === undefined) : -1;
      if (oldest !== -1) seals.splice(oldest, 1);
    }
  }

  function hashOf(sequence: number): Uint8Array | undefined {
    if (sequence > lastSequence || sequence <= lastSequence - REMEMBERED_HASHES || sequence < start.sequence)
      return undefined;
    return remembered[sequence % REMEMBERED_HASHES];
  }

  function drain(final: boolean): void {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      if (tryAccept(first)) {
        queue.shift();
        continue;
      }
      if (!final && queue.length < DIAGNOSIS_WINDOW) return;
      if (findings.length >= FINDINGS_MAX) {
        // Too much is wrong for names: go on from what is stored.
        findingsOmitted += 1;
        queue.shift();
        tree = undefined;
        if (isReadable(first)) {
          lastSequence = first.sequence - shift;
          lastHash = first.hash;
        }
        continue;
      }
      // The diagnosis speaks of true sequences, so labels are corrected by what is known of them.
      const view = queue.map((entry) => (shift === 0 ? entry : { ...entry, sequence: entry.sequence - shift }));
      const beginning = lastSequence === 0;
      const found = diagnose({ sequence: lastSequence, hash: lastHash }, view, { seen: hashOf, beginning });
      report(found.finding);
      queue = found.rest.map((entry) => (shift === 0 ? entry : { ...entry, sequence: entry.sequence + shift }));
      shift += found.shift;
      if (found.end.sequence !== lastSequence) {
        if (found.end.sequence !== lastSequence + 1) tree = undefined;
        lastSequence = found.end.sequence;
        lastHash = found.end.hash;
        remembered[lastSequence % REMEMBERED_HASHES] = lastHash;
        // Where the content itself is in doubt, a checkpoint that disagrees would only say so a second time.
        if (found.leaf === undefined) {
          tree = undefined;
          continue;
        }
        if (tree !== undefined) pushLeaf(tree, found.leaf);
        compareCheckpoints();
      }
    }
  }

  function tryAccept(entry: LogEntry): boolean {
    if (!isReadable(entry)) return false;
    const sequence = entry.sequence - shift;
    if (sequence !== lastSequence + 1) return false;
    const leaf = leafHash(entry.event);
    if (entry.leaf !== undefined && Buffer.compare(entry.leaf, leaf) !== 0) return false;
    const hash = linkHash(lastHash, sequence, entry.committedAtMicros, leaf);
    if (Buffer.compare(hash, entry.hash) !== 0) return false;
    accept(entry, sequence, hash, leaf);
    return true;
  }

  function compareHead(head: StoredHead): void {
    if (shift !== 0) return; // the labels are wrong already, so a number in the head says nothing more
    if (head.sequence < lastSequence) {
      const detail = `the head stands at ${head.sequence}, entries are known through ${lastSequence}`;
      report({ damage: "head_regressed", sequence: head.sequence + 1, through: lastSequence, detail });
    } else if (head.sequence === lastSequence) {
      const hashDiffers = Buffer.compare(head.hash, lastHash) !== 0;
      const rootDiffers =
        head.root !== undefined && tree !== undefined && Buffer.compare(head.root, treeRoot(tree)) !== 0;
      if (hashDiffers && entries === 0 && from !== undefined) {
        const detail = "the head has another hash than was verified before at the same sequence";
        report({ damage: "forked", sequence: lastSequence, detail });
      } else if (hashDiffers || rootDiffers) {
        const detail = `the head's ${hashDiffers ? "hash" : "root"} is not that of the entries`;
        report({ damage: "head_wrong", sequence: lastSequence, detail });
      }
    }
  }

  function compareEnd(head: StoredHead | undefined): void {
    const largest = own.at(-1)?.size ?? 0;
    const known = Math.max(shift === 0 ? (head?.sequence ?? 0) : 0, largest);
    if (known > lastSequence) {
      const source = largest === known ? "a signed checkpoint" : "the head";
      const detail = `${source} speaks of ${known} entries, the log ends at ${lastSequence}`;
      report({ damage: "truncated", sequence: lastSequence + 1, through: known, detail });
    }
    if (head === undefined) return;
    compareHead(head);
    if (head.sequence < largest && head.sequence >= lastSequence) {
      const detail = `the head stands at ${head.sequence}, a signed checkpoint at ${largest}`;
      report({ damage: "head_regressed", sequence: head.sequence + 1, through: largest, detail });
    }
  }

  /** Seals and checkpoints against a chain that agrees with itself: rehashed, or forked when both sides are signed. */
  function compareStatements(): void {
    const vouched = (before: number): number =>
      Math.max(
        start.sequence,
        ...agreements
          .filter((one) => one.disagrees === undefined && one.checkpoint.size < before)
          .slice(-1)
          .map((one) => one.checkpoint.size),
        ...seals
          .filter((one) => one.disagrees === undefined && one.sequence < before && chainKeys !== undefined)
          .slice(-1)
          .map((one) => one.sequence),
      );
    const seal = seals.find((one) => one.disagrees !== undefined);
    const disagreement = agreements.find((one) => one.disagrees !== undefined);
    if (disagreement !== undefined) {
      const { size } = disagreement.checkpoint;
      const signed = agreements.find((one) => one.disagrees === undefined && one.checkpoint.size >= size);
      const what = disagreement.disagrees === "root" ? "other events" : "other commit times or another earlier chain";
      const detail =
        signed === undefined
          ? `the chain agrees with itself, and the checkpoint of ${size} entries was signed over ${what}`
          : `the signed checkpoints of ${size} and of ${signed.checkpoint.size} entries cannot both belong to one log`;
      const damage = signed === undefined ? "rehashed" : "forked";
      report({ damage, sequence: vouched(size) + 1, through: size, detail });
      if (signed === undefined) return;
    }
    if (seal !== undefined) {
      const detail = `the chain agrees with itself, and ${seal.disagrees}`;
      report({ damage: "rehashed", sequence: vouched(seal.sequence) + 1, through: seal.sequence, detail });
    }
  }

  function compareCheckpointsWithEachOther(): void {
    const roots = new Map<number, Checkpoint>();
    for (const checkpoint of own) {
      const other = roots.get(checkpoint.size);
      roots.set(checkpoint.size, checkpoint);
      if (other === undefined || !contradict(other, checkpoint)) continue;
      const detail = `two signed checkpoints of ${checkpoint.size} entries contradict each other`;
      if (!findings.some((finding) => finding.damage === "forked")) {
        report({ damage: "forked", sequence: Math.max(1, checkpoint.size), detail });
      }
    }
  }

  return {
    add(entry) {
      entries += 1;
      if (queue.length === 0 && tryAccept(entry)) return;
      queue.push(entry);
      drain(false);
    },
    end(head) {
      drain(true);
      compareStatements();
      compareCheckpointsWithEachOther();
      compareEnd(head);
      const agreed = agreements.filter((one) => one.disagrees === undefined);
      const coverage: Coverage = {
        entries,
        startVouched:
          start.sequence === 0 ||
          agreed.some(({ checkpoint }) => checkpoint.size === start.sequence && checkpoint.chainHash !== undefined),
        checkpointsAgreed: agreed.length,
        checkpointsUnchecked: unchecked,
        checkpointedThrough: agreed.at(-1)?.checkpoint.size ?? 0,
        sealsAgreed,
        sealsUnchecked,
        sealedThrough: sealsAgreed === 0 ? 0 : sealedThrough,
      };
      if (findings.length > 0 || tree === undefined) {
        findings.sort((one, other) => one.sequence - other.sequence);
        return { kind: "damaged", findings, findingsOmitted, coverage };
      }
      const position = { sequence: lastSequence, hash: lastHash, frontier: Buffer.concat(tree.subtrees) };
      return { kind: "intact", position, root: treeRoot(tree), coverage };
    },
  };
}

function contradict(one: Checkpoint, other: Checkpoint): boolean {
  if (Buffer.compare(one.root, other.root) !== 0) return true;
  if (one.chainHash === undefined || other.chainHash === undefined) return false;
  return Buffer.compare(one.chainHash, other.chainHash) !== 0;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

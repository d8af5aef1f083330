/**
 * The invariants of a history, checked from outside: given the database, what an upstream wrote down and what clients
 * were told, names every way in which they contradict each other. It works as an auditor with the salts and the chain
 * keys would: the log is verified by the public verifier, and a forwarded call is tied to its entry by the salted
 * digest of its arguments alone. It starts and stops nothing, and uses none of the gateway's code.
 */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { parseCheckpointFile, rootOf, saltedDigest, verifierKey } from "@writ/audit";
import { createLogVerifier } from "@writ/audit/verify";
import { INSTANCE_TENANT, type Reason } from "@writ/contract";
import type { Database } from "@writ/db";
import { EVENTS_PAGE_MAX, listTenants, readEvents, readHead } from "@writ/history";
import { openKeyring } from "@writ/runtime";

/** A call as an upstream received it. */
export interface ForwardedCall {
  /** JSON text of the arguments, byte for byte; each call of a load has its own. */
  readonly argumentsText: string;
}

/** What a client was told about one of its calls. */
export type ToldCall =
  /** A result or an error of the upstream's own. */
  | { readonly kind: "answered"; readonly callId: string; readonly argumentsText: string }
  /** Only the decision, which allowed it. */
  | { readonly kind: "given"; readonly callId: string }
  /** Refused by Writ, or broken after it was allowed. */
  | { readonly kind: "refused"; readonly callId: string | undefined; readonly reason: Reason | "hidden" };

export interface CheckHistoryOptions {
  /** Opened by the owner's role. */
  readonly db: Database;
  readonly forwarded: readonly ForwardedCall[];
  readonly told: readonly ToldCall[];
  /** Name of the upstream that `forwarded` is about. */
  readonly upstream: string;
  /** Base64. */
  readonly masterKey: string;
  readonly checkpointsFile: string;
  readonly checkpointKeyFile: string;
  /** Every process was drained: what was answered is settled, not unknown. */
  readonly drained?: boolean;
}

export interface HistoryReport {
  /** Empty when everything holds. At most `PROBLEMS_MAX`, each a sentence. */
  readonly problems: readonly string[];
  readonly entries: number;
  readonly allowed: number;
  /** Allows that somebody else enforces: they have no outcome. */
  readonly given: number;
  readonly forwarded: number;
  /** Allows by how they ended; late outcomes replace `unknown`. */
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly settledLate: number;
  readonly denied: number;
  readonly lapsedGateways: number;
}

export type Outcome = "completed" | "failed" | "aborted" | "unknown";

const PROBLEMS_MAX = 50;
const OUTCOMES: readonly Outcome[] = ["completed", "failed", "aborted", "unknown"];

/** Refusals that are not decisions about the call: the gateway could not, or would not, put one on record. */
const UNRECORDED: ReadonlySet<string> = new Set([
  "rate_denials",
  "state_unavailable",
  "state_stale",
  "journal_unavailable",
  "head_regressed",
  "gateway_draining",
  "gateway_overloaded",
  "internal_error",
]);

interface Claim {
  readonly counter: string;
  readonly windowStart: number;
  readonly amount: number;
  readonly limit: number;
  readonly mode: string;
}

interface Allowed {
  readonly tenantId: string;
  readonly callId: string;
  readonly sequence: number;
  readonly epoch: number;
  readonly sent: boolean;
  readonly digest: string;
  readonly claims: readonly Claim[];
  /** It has an idempotency key. */
  readonly keyed: boolean;
  ended: Outcome | undefined;
  /** The outcome that came after `unknown`. */
  late: Outcome | undefined;
  forwarded: number;
}

interface LoggedEvent {
  readonly event: string;
  readonly id: string;
  readonly callId?: string;
  readonly decision?: string;
  readonly action?: string;
  readonly upstream?: string;
  readonly arguments?: string;
  readonly claims?: readonly Claim[];
  readonly idempotencyKey?: string;
  readonly outcome?: Outcome | "ran" | "not_run";
  readonly status?: string;
}

interface Findings {
  readonly problems: string[];
  readonly allowed: Map<string, Allowed>;
  readonly denied: Set<string>;
  /** Claims of what was allowed for others to enforce, by call. */
  readonly given: Map<string, readonly Claim[]>;
  /** Ids of events: none is there twice. */
  readonly ids: Set<string>;
  entries: number;
  settledLate: number;
  lapsedGateways: number;
}

/** Reads everything once nothing runs any more: every lease must have ended or lapsed. */
export async function checkHistory(options: CheckHistoryOptions): Promise<HistoryReport> {
  const { db } = options;
  const found: Findings = {
    problems: [],
    allowed: new Map(),
    denied: new Set(),
    given: new Map(),
    ids: new Set(),
    entries: 0,
    settledLate: 0,
    lapsedGateways: 0,
  };
  const tenants = await listTenants(db, { limit: 1_000 });
  if (!tenants.some((tenant) => tenant.tenantId === INSTANCE_TENANT)) say(found, "the instance has no head");
  const trust = await readTrust(options);
  for (const { tenantId, epoch } of tenants) {
    for (let at = 1; at <= epoch; at += 1) await readLog(options, trust, found, tenantId, at, at === epoch);
  }
  for (const call of found.allowed.values()) {
    if (call.ended === undefined) say(found, `allow ${call.callId} (entry ${call.sequence}) has no outcome`);
  }
  await matchForwarded(
    options,
    found,
    tenants.map((tenant) => tenant.tenantId),
  );
  checkTold(options, found);
  for (const { tenantId } of tenants) await checkTables(db, found, tenantId);
  await checkLeases(db, found);

  const outcomes = { completed: 0, failed: 0, aborted: 0, unknown: 0 };
  for (const call of found.allowed.values()) {
    const end = endOf(call);
    if (end !== undefined) outcomes[end] += 1;
  }
  return {
    problems: found.problems,
    entries: found.entries,
    allowed: found.allowed.size,
    given: found.given.size,
    forwarded: options.forwarded.length,
    outcomes,
    settledLate: found.settledLate,
    denied: found.denied.size,
    lapsedGateways: found.lapsedGateways,
  };
}

function say(found: Findings, problem: string): void {
  if (found.problems.length < PROBLEMS_MAX) found.problems.push(problem);
}

function endOf(call: Allowed): Outcome | undefined {
  return call.late ?? call.ended;
}

interface Trust {
  readonly notes: readonly string[];
  readonly verifierKeys: readonly string[];
  readonly chainKeys: (tenantId: string) => ReadonlyMap<string, import("node:crypto").KeyObject>;
}

async function readTrust(options: CheckHistoryOptions): Promise<Trust> {
  const keyring = openKeyring(new Uint8Array(Buffer.from(options.masterKey, "base64")));
  const publicKey = createPublicKey(createPrivateKey(await readFile(options.checkpointKeyFile)));
  const { notes } = parseCheckpointFile(await readFile(options.checkpointsFile, "utf8"));
  // The signer's name is part of the origin: everything before the tenant and the epoch.
  const names = new Set(notes.map((note) => note.slice(0, note.indexOf("\n")).split("/").slice(0, -2).join("/")));
  return {
    notes,
    verifierKeys: [...names].map((name) => verifierKey(name, publicKey)),
    chainKeys: (tenantId) => {
      const { keyId, key } = keyring.chainKey(tenantId);
      return new Map([[keyId, key]]);
    },
  };
}

/** Verifies one log and takes from it what calls became. */
async function readLog(
  options: CheckHistoryOptions,
  trust: Trust,
  found: Findings,
  tenantId: string,
  epoch: number,
  current: boolean,
): Promise<void> {
  const { db } = options;
  const verifier = createLogVerifier({
    tenantId,
    epoch,
    checkpoints: trust.notes.filter((note) => note.slice(0, note.indexOf("\n")).endsWith(`/${tenantId}/${epoch}`)),
    verifierKeys: trust.verifierKeys,
    chainKeys: trust.chainKeys(tenantId),
  });
  const head = current ? await readHead(db, tenantId) : undefined;
  let after = 0;
  for (;;) {
    const page = await readEvents(db, { tenantId, epoch, after, limit: EVENTS_PAGE_MAX });
    for (const entry of page) {
      after = entry.sequence;
      found.entries += 1;
      verifier.add({ ...entry, committedAtMicros: BigInt(entry.committedUs) });
      readEvent(options, found, { text: entry.event, sequence: entry.sequence, epoch, tenantId });
    }
    if (page.length < EVENTS_PAGE_MAX) break;
  }
  const verdict = verifier.end(
    head === undefined
      ? undefined
      : { sequence: head.sequence, hash: head.hash, root: rootOf(head.frontier, head.sequence) },
  );
  if (verdict.kind === "damaged") {
    for (const { damage, sequence, detail } of verdict.findings) {
      say(found, `the log of ${tenantId}, epoch ${epoch}, is ${damage} at ${sequence}: ${detail}`);
    }
  }
}

function readEvent(
  options: CheckHistoryOptions,
  found: Findings,
  { text, sequence, epoch, tenantId }: { text: string; sequence: number; epoch: number; tenantId: string },
): void {
  // Events are written by Writ in the shapes of the catalogue; what is not there is undefined below.
  const event = JSON.parse(text) as LoggedEvent;
  const callId = event.callId ?? "";
  if (found.ids.has(event.id)) say(found, `${event.event} ${event.id} at ${sequence} is there a second time`);
  found.ids.add(event.id);
  switch (event.event) {
    case "decision.given":
    case "call.decided": {
      if (found.allowed.has(callId) || found.denied.has(callId) || found.given.has(callId)) {
        say(found, `call ${callId} was decided twice`);
      }
      if (event.event === "decision.given") {
        found.given.set(callId, event.claims ?? []);
        return;
      }
      if (event.decision !== "allow") {
        found.denied.add(callId);
        return;
      }
      found.allowed.set(callId, {
        tenantId,
        callId,
        sequence,
        epoch,
        sent: event.action === "tool.call" && event.upstream === options.upstream,
        digest: event.arguments ?? "",
        // What a delegation sets aside is charged to nobody yet.
        claims: event.action === "token.attenuate" ? [] : (event.claims ?? []),
        keyed: event.idempotencyKey !== undefined,
        ended: undefined,
        late: undefined,
        forwarded: 0,
      });
      return;
    }
    case "call.completed":
    case "call.failed":
    case "call.aborted":
    case "call.unknown": {
      const outcome = OUTCOMES.find((name) => event.event === `call.${name}`);
      const call = found.allowed.get(callId);
      if (call === undefined) say(found, `${event.event} at ${sequence} is of no allowed call (${callId})`);
      else if (call.ended !== undefined) say(found, `call ${callId} ended as ${call.ended} and as ${outcome}`);
      else call.ended = outcome;
      return;
    }
    case "call.settled_late": {
      const call = found.allowed.get(callId);
      found.settledLate += 1;
      if (call?.ended !== "unknown" || call.late !== undefined) {
        say(found, `a late outcome at ${sequence} is of no call recorded as unknown (${callId})`);
      } else call.late = OUTCOMES.find((name) => name === event.outcome);
      return;
    }
    case "call.reconciled": {
      const call = found.allowed.get(callId);
      if (call?.ended !== "unknown" || call.late !== undefined) {
        say(found, `an administrator's word at ${sequence} is of no call recorded as unknown (${callId})`);
      } else call.late = event.outcome === "ran" ? "completed" : "aborted";
      return;
    }
    case "gateway.lapsed":
      found.lapsedGateways += 1;
      return;
  }
}

/** Ties what the upstream received to the entries that allowed it. */
async function matchForwarded(
  options: CheckHistoryOptions,
  found: Findings,
  tenants: readonly string[],
): Promise<void> {
  const salts = new Map<string, Uint8Array>();
  for (const tenantId of tenants) {
    const rows = await options.db.transaction({ tenants: [tenantId], readOnly: true }, (q) =>
      q.query<{ call_id: string; salt: Uint8Array }>(
        `SELECT event::json ->> 'callId' AS call_id, salt FROM audit_event
          WHERE tenant_id = $1::uuid AND salt IS NOT NULL`,
        [tenantId],
      ),
    );
    for (const row of rows) salts.set(row.call_id, row.salt);
  }
  const agrees = (call: Allowed, text: string): boolean => {
    const salt = salts.get(call.callId);
    return salt !== undefined && saltedDigest(salt, text) === call.digest;
  };

  const received = new Map<string, number>();
  for (const { argumentsText } of options.forwarded) {
    received.set(argumentsText, (received.get(argumentsText) ?? 0) + 1);
  }
  for (const [text, times] of received) if (times > 1) say(found, `${text} was forwarded ${times} times`);

  const open = new Set(received.keys());
  // What was aborted may have been made again under its key: it comes last.
  const sent = [...found.allowed.values()].filter((call) => call.sent);
  const isAborted = (call: Allowed): boolean => endOf(call) === "aborted";
  const unmatched = new Set([...sent.filter((call) => !isAborted(call)), ...sent.filter(isAborted)]);
  const match = (call: Allowed, text: string): void => {
    call.forwarded += 1;
    open.delete(text);
    unmatched.delete(call);
  };
  // A client that was told a call's id says where to look; the digest says whether it is so.
  for (const told of options.told) {
    if (told.kind !== "answered" || !open.has(told.argumentsText)) continue;
    const call = found.allowed.get(told.callId);
    if (call !== undefined && unmatched.has(call) && agrees(call, told.argumentsText)) match(call, told.argumentsText);
  }
  for (const text of [...open]) {
    for (const call of unmatched) {
      if (!agrees(call, text)) continue;
      match(call, text);
      break;
    }
  }
  for (const text of open) say(found, `${text} was forwarded, and no entry allows it`);
  for (const call of found.allowed.values()) {
    if (!call.sent) continue;
    const end = endOf(call);
    if (end === "aborted" && call.forwarded > 0) say(found, `call ${call.callId} is aborted, and was forwarded`);
    if ((end === "completed" || end === "failed") && call.forwarded === 0) {
      say(found, `call ${call.callId} is ${end}, and was not forwarded`);
    }
  }
}

/** What clients were told is on record. */
function checkTold(options: CheckHistoryOptions, found: Findings): void {
  for (const told of options.told) {
    if (told.kind === "answered") {
      const call = found.allowed.get(told.callId);
      const end = call === undefined ? undefined : endOf(call);
      if (call === undefined) say(found, `call ${told.callId} was answered, and no entry allows it`);
      else if (call.forwarded === 0) say(found, `call ${told.callId} was answered, and was not forwarded as judged`);
      // Killed between the answer and the batch that settles it: recorded as unknown, and charged.
      else if (end !== "completed" && (end !== "unknown" || options.drained === true))
        say(found, `call ${told.callId} was answered, and is ${end}`);
      continue;
    }
    if (told.kind === "given") {
      if (!found.given.has(told.callId)) say(found, `decision ${told.callId} was given, and is not on record`);
      continue;
    }
    const { callId, reason } = told;
    if (callId === undefined) continue;
    const call = found.allowed.get(callId);
    if (UNRECORDED.has(reason)) {
      if (call !== undefined && call.forwarded > 0 && reason === "journal_unavailable") {
        say(found, `call ${callId} was denied with ${reason}, and was forwarded`);
      }
      if (found.denied.has(callId) || call === undefined) continue;
      // A process that lives on knows that it did not send; only after a crash is that unknown.
      const unsent = endOf(call) === "aborted" || (endOf(call) === "unknown" && options.drained !== true);
      if (reason === "journal_unavailable" && !unsent) {
        say(found, `call ${callId} was denied with ${reason}, and is ${endOf(call)}`);
      }
    } else if (call === undefined && !found.denied.has(callId)) {
      say(found, `call ${callId} was refused with ${reason}, and is not on record`);
    }
  }
}

/**
 * A key has one row, and the row one call. So that each call which may have been forwarded under a key has a row says
 * that no two of them were under the same one. A history is younger than keys are kept for.
 */
function checkKeys(found: Findings, tenantId: string, holders: readonly string[]): void {
  const held = new Set(holders);
  if (held.size !== holders.length) say(found, `a call of ${tenantId} has two idempotency keys`);
  for (const callId of held) {
    const call = found.allowed.get(callId);
    if (call?.keyed !== true) say(found, `call ${callId} has an idempotency key, and the log knows of none`);
    else if (endOf(call) === "aborted") say(found, `call ${callId} is aborted, and still has its idempotency key`);
  }
  for (const call of found.allowed.values()) {
    if (call.tenantId !== tenantId || !call.keyed || endOf(call) === "aborted" || held.has(call.callId)) continue;
    say(found, `call ${call.callId} is ${endOf(call)} under an idempotency key that it does not have`);
  }
}

/** Budgets against the log; nothing is open and nothing reserved. */
async function checkTables(db: Database, found: Findings, tenantId: string): Promise<void> {
  const { counters, openCalls, carves, keys } = await db.transaction(
    { tenants: [tenantId], readOnly: true },
    async (q) => ({
      counters: await q.query<{
        counter: Uint8Array;
        window_start: number;
        used: number;
        reserved: number;
        unknown: number;
      }>("SELECT counter, window_start, used, reserved, unknown FROM budget_counter WHERE tenant_id = $1::uuid", [
        tenantId,
      ]),
      openCalls: await q.query<{ call_id: string; state: string }>(
        "SELECT call_id, state FROM open_call WHERE tenant_id = $1::uuid",
        [tenantId],
      ),
      carves: await q.query("SELECT node FROM carve WHERE tenant_id = $1::uuid", [tenantId]),
      keys: await q.query<{ call_id: string }>("SELECT call_id FROM idempotency_key WHERE tenant_id = $1::uuid", [
        tenantId,
      ]),
    }),
  );
  checkKeys(
    found,
    tenantId,
    keys.map((row) => row.call_id),
  );
  for (const { call_id: callId, state } of openCalls) {
    const call = found.allowed.get(callId);
    if (state === "open") say(found, `call ${callId} is still open`);
    else if (call === undefined || endOf(call) !== "unknown") {
      say(found, `call ${callId} is kept as unknown, and the log says ${call === undefined ? "nothing" : endOf(call)}`);
    }
  }

  const sums = new Map<string, { used: number; unknown: number; limit: number }>();
  const charge = (claims: readonly Claim[], as: "used" | "unknown"): void => {
    for (const { counter, windowStart, amount, limit, mode } of claims) {
      const key = `${counter}/${windowStart}`;
      const sum = sums.get(key) ?? { used: 0, unknown: 0, limit: Number.POSITIVE_INFINITY };
      sum[as] += amount;
      if (mode === "hard") sum.limit = Math.min(sum.limit, limit);
      sums.set(key, sum);
    }
  };
  for (const call of found.allowed.values()) {
    const end = endOf(call);
    if (end !== "aborted") charge(call.claims, end === "unknown" ? "unknown" : "used");
  }
  for (const claims of found.given.values()) charge(claims, "used");
  for (const [key, { used, unknown, limit }] of sums) {
    if (used + unknown > limit) say(found, `budget ${key} admitted ${used + unknown} calls of ${limit}`);
  }
  for (const row of counters) {
    const counter = Buffer.from(row.counter).toString("hex");
    if (row.reserved !== 0) say(found, `${row.reserved} calls are still reserved in ${counter}`);
    // Calendar windows: a call decided before a boundary and committed after it is charged to the new window.
    if (row.window_start !== 0 || carves.length > 0) continue;
    const sum = sums.get(`${counter}/0`) ?? { used: 0, unknown: 0 };
    if (row.used !== sum.used || row.unknown !== sum.unknown) {
      say(
        found,
        `counter ${counter} has ${row.used} used and ${row.unknown} unknown, the log ${sum.used} and ${sum.unknown}`,
      );
    }
  }
}

async function checkLeases(db: Database, found: Findings): Promise<void> {
  const rows = await db.query<{ gateway_id: string }>("SELECT gateway_id FROM gateway_lease");
  for (const row of rows) say(found, `gateway ${row.gateway_id} still has a lease, and nothing runs`);
}

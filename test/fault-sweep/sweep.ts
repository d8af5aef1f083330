/**
 * Makes the n-th port call of one operation fail, n = 1, 2, … until the operation meets no fault, and looks at the
 * database and the upstream after each: nothing was forwarded or answered without evidence, nothing is left reserved,
 * the next call works. Returns what the caller was told, for the fault matrix.
 */
import type { CallSink } from "../../packages/gateway/src/gate.ts";
import type { AgentCall } from "../../packages/gateway/src/ports.ts";
import { createInjector, FAULTS, type Fault } from "./fault-injector.ts";
import { type Core, delegation, httpCall, localCall, publicRequest, question, toolCall, type World } from "./rig.ts";

export const OPERATIONS = [
  "a call that is allowed",
  "a call while authority moves",
  "a call that is denied",
  "tools/list",
  "a session",
  "an attenuation",
  "an HTTP request under a key",
  "a question",
  "a public request",
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What one run came to. */
export interface SweepRun {
  readonly port: string;
  readonly fault: Fault;
  readonly operation: Operation;
  readonly verdict: string;
  readonly problems: readonly string[];
}

interface Told {
  readonly verdict: string;
  readonly callId: string;
  /** The caller was given something that only an allow gives. */
  readonly given: boolean;
  /** The caller was given the whole of it. */
  readonly whole: boolean;
}

const POINTS_MAX = 500;
const ATTEMPTS_MAX = 10;
const DRAIN_MS = 5_000;

export async function sweep(
  world: World,
  operation: Operation,
  faults: readonly Fault[] = FAULTS,
): Promise<SweepRun[]> {
  const runs: SweepRun[] = [];
  for (const fault of faults) {
    for (let at = 1; ; at += 1) {
      if (at > POINTS_MAX) throw new Error(`${operation} met a fault at each of ${POINTS_MAX} port calls`);
      const run = await runOnce(world, operation, fault, at);
      if (run === undefined) break;
      runs.push(run);
    }
  }
  return runs;
}

/** One operation with one fault; undefined when it was not met. */
async function runOnce(world: World, operation: Operation, fault: Fault, at: number): Promise<SweepRun | undefined> {
  const injector = createInjector();
  const core = await world.makeCore(injector);
  const problems: string[] = [];
  try {
    // Half of the operations read authority themselves, so that its reading fails, too.
    if (operation !== "a call that is allowed" && operation !== "tools/list") await core.warm();
    if (operation === "a call while authority moves") await world.moveAuthority();
    const before = await sequenceOf(world);
    const forwardedBefore = world.forwarded();
    injector.arm(fault, at);
    const told = await within(attempt(world, core, operation, at, fault));
    const port = injector.disarm();
    await core.journal.drain(DRAIN_MS);
    const forwarded = world.forwarded() - forwardedBefore;
    const swept = await examine(world, core, { before, forwarded, told });
    problems.push(...core.problems, ...swept.problems);
    if (operation === "an HTTP request under a key") {
      const makeAgain = async (): Promise<Told> => {
        const made = await within(attempt(world, core, operation, at, fault));
        await core.journal.drain(DRAIN_MS);
        return made;
      };
      let again = await makeAgain();
      for (let more = 1; more < ATTEMPTS_MAX && again.verdict.endsWith("gateway_overloaded"); more += 1) {
        again = await makeAgain();
      }
      const both = world.forwarded() - forwardedBefore;
      if (both > 1) problems.push(`made again under its key, it was forwarded ${both} times`);
      // What surely was not sent is made now; of what may have been sent, its caller is told.
      const expected = forwarded === 1 || swept.ended.includes("unknown") ? "denied, duplicate_key" : "answered";
      if (again.verdict !== expected) problems.push(`made again under its key: ${again.verdict}, not ${expected}`);
    }

    let next = await within(attempt(world, core, "a call that is allowed", 0));
    // A machine that stood still between commit and send has a call given up: its caller is told to try again.
    for (let again = 1; again < ATTEMPTS_MAX && next.verdict.endsWith("gateway_overloaded"); again += 1) {
      next = await within(attempt(world, core, "a call that is allowed", 0));
    }
    if (!next.whole) problems.push(`the next call is not answered: ${next.verdict}`);
    await core.journal.drain(DRAIN_MS);
    if (told.verdict === "hangs") problems.push("the caller waits for ever");
    if (port === undefined) {
      const expected: string = operation === "a call that is denied" ? "denied, policy_denied" : "answered";
      if (!told.whole && told.verdict !== expected) problems.push(`without a fault: ${told.verdict}`);
      if (problems.length > 0) throw new Error(`${operation} without a fault: ${problems.join("; ")}`);
      return undefined;
    }
    return { port, fault, operation, verdict: `${told.verdict}${swept.ended}`, problems };
  } finally {
    await core.close();
  }
}

async function attempt(world: World, core: Core, operation: Operation, at: number, fault?: Fault): Promise<Told> {
  let given = false;
  let whole = false;
  const http = core.wrapHttpSink({
    head() {
      given = true;
    },
    data() {
      given = true;
    },
  });
  const sink: CallSink = core.wrapSink({
    http,
    allowed() {
      given = true;
    },
    local() {
      given = true;
      whole = true;
    },
    notification() {
      given = true;
    },
    response() {
      given = true;
      whole = true;
    },
  });
  try {
    const remoteAddress = "127.0.0.1";
    const asked = { unverifiedTenantId: world.tenantId, upstream: "api", method: "POST", path: "/open", remoteAddress };
    const authenticated = await (operation === "a public request"
      ? core.gate.admitPublic(asked)
      : core.gate.authenticate({ authorization: `Bearer ${world.token}`, remoteAddress }));
    if (authenticated.kind === "rejected") {
      return { verdict: `denied, ${authenticated.reason}`, callId: "", given, whole };
    }
    const call = callOf(world, operation, `${at} ${fault}`);
    const end = await core.gate.handleCall(authenticated, call, sink, new AbortController());
    switch (end.kind) {
      case "answered":
        // A stream that has come to its end was given whole.
        return { verdict: "answered", callId: end.callId, given, whole: whole || call.http !== undefined };
      case "denied":
        return { verdict: `denied, ${end.denial.reason}`, callId: end.callId, given, whole };
      case "broken":
        return { verdict: `broken off, ${end.reason}`, callId: end.callId, given, whole };
    }
  } catch (error) {
    return { verdict: `a failure inside (${error instanceof Error ? error.name : "?"})`, callId: "", given, whole };
  }
}

function callOf(world: World, operation: Operation, name: string): AgentCall {
  switch (operation) {
    case "tools/list":
      return localCall("tool.list");
    case "a session":
      return localCall("mcp.session");
    case "an attenuation":
      return delegation(world.token);
    case "a public request":
      return publicRequest(`${world.engine} ${name}`);
    case "a call that is denied":
      return toolCall("add", '{"a":1,"b":2}');
    case "a call that is allowed":
    case "a call while authority moves":
      return toolCall("echo", `{"message":"${world.engine} ${name} ${performance.now()}"}`);
    case "an HTTP request under a key":
      return httpCall(name);
    case "a question":
      return question(world.agentId);
  }
}

interface Ends {
  readonly problems: readonly string[];
  /** How the allow of the operation ended, for the matrix. */
  readonly ended: string;
}

async function examine(
  world: World,
  core: Core,
  seen: { readonly before: number; readonly forwarded: number; readonly told: Told },
): Promise<Ends> {
  const problems: string[] = [];
  const { told, forwarded } = seen;
  let lapsed = false;
  if ((await openCallsOf(world)) > 0) {
    // What has no outcome on record ends with the lease of its gateway, as unknown.
    lapsed = true;
    await core.lapse();
    if ((await openCallsOf(world)) > 0) problems.push("a call stays open after the lease");
  }
  const reserved = await reservedOf(world);
  if (reserved !== 0) problems.push(`${reserved} calls are left reserved`);

  const allowed = new Set<string>();
  const denied = new Set<string>();
  const recorded = new Set<string>();
  const given = new Set<string>();
  const ended = new Map<string, string[]>();
  for (const event of await eventsAfter(world, seen.before)) {
    const callId = event.callId ?? "";
    // A decision that somebody else enforces is over as it is given.
    if (event.event === "decision.given") given.add(callId);
    else if (event.event === "call.decided") (event.decision === "allow" ? allowed : denied).add(callId);
    else if (event.event === "token.attenuated") recorded.add(callId);
    else if (/^call\.(completed|failed|aborted|unknown)$/.test(event.event)) {
      ended.set(callId, [...(ended.get(callId) ?? []), event.event.slice("call.".length)]);
    }
  }
  if (forwarded > allowed.size) problems.push(`${forwarded} forwarded on ${allowed.size} allows`);
  if (forwarded > 1) problems.push(`forwarded ${forwarded} times`);
  for (const callId of allowed) {
    const ends = ended.get(callId) ?? [];
    // The record of a child is what its allow came to: one transaction, nothing is sent.
    if (recorded.has(callId) && ends.length === 0) continue;
    if (ends.length !== 1) problems.push(`an allow ended ${ends.length} times: ${ends.join(", ")}`);
    if (forwarded > 0 && ends.includes("aborted")) problems.push("forwarded, and on record as aborted");
    if (forwarded === 0 && told.whole && world.forwarded() > 0 && ends.includes("failed")) {
      problems.push("failed, and was never forwarded");
    }
  }
  for (const callId of given) if (ended.has(callId)) problems.push("a decision for others to enforce has an outcome");
  if (told.given && allowed.size + given.size === 0) problems.push("answered as allowed, and no allow is on record");
  if (told.given && told.callId !== "" && !allowed.has(told.callId) && !given.has(told.callId)) {
    problems.push("answered for a call not on record");
  }
  if (told.verdict === "denied, policy_denied" && !denied.has(told.callId)) problems.push("a denial is not on record");
  const ends = [...allowed].flatMap((callId) => ended.get(callId) ?? []);
  const suffix = ends.length === 0 ? "" : `; ${ends.join(", ")}${lapsed ? " (lapsed)" : ""}`;
  return { problems, ended: suffix };
}

interface Logged {
  readonly event: string;
  readonly callId?: string;
  readonly decision?: string;
}

async function eventsAfter(world: World, sequence: number): Promise<readonly Logged[]> {
  const rows = await world.owner.transaction({ tenants: [world.tenantId], readOnly: true }, (q) =>
    q.query<{ event: string }>(
      "SELECT event FROM audit_event WHERE tenant_id = $1::uuid AND sequence > $2 ORDER BY sequence",
      [world.tenantId, sequence],
    ),
  );
  return rows.map((row) => JSON.parse(row.event) as Logged); // events are written by Writ in the catalogue's shapes
}

async function numberOf(world: World, statement: string): Promise<number> {
  const rows = await world.owner.transaction({ tenants: [world.tenantId], readOnly: true }, (q) =>
    q.query<{ n: number }>(statement, [world.tenantId]),
  );
  return rows[0]?.n ?? 0;
}

const sequenceOf = (world: World): Promise<number> =>
  numberOf(world, "SELECT sequence AS n FROM tenant_head WHERE tenant_id = $1::uuid");
const openCallsOf = (world: World): Promise<number> =>
  numberOf(world, "SELECT count(*)::int8 AS n FROM open_call WHERE tenant_id = $1::uuid AND state = 'open'");
const reservedOf = (world: World): Promise<number> =>
  numberOf(world, "SELECT coalesce(sum(reserved), 0)::int8 AS n FROM budget_counter WHERE tenant_id = $1::uuid");

/** A call that never ends is a finding of its own. */
async function within(told: Promise<Told>): Promise<Told> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Told>((resolve) => {
    timer = setTimeout(() => resolve({ verdict: "hangs", callId: "", given: false, whole: false }), HANG_MAX_MS);
  });
  try {
    return await Promise.race([told, late]);
  } finally {
    clearTimeout(timer);
  }
}
const HANG_MAX_MS = 6_000;

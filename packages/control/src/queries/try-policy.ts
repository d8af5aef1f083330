/**
 * What a rules file would have said of calls that are on record: asked by core as a decision asks, on today's authority
 * and at each call's own time. A stretch of the log at a time; stores nothing.
 */
import { isAction, type RequestContext } from "@writ/contract";
import type { PolicyTry, PolicyTryAnswer, PolicyTryGroup } from "@writ/contract/admin";
import { CHECKS, createRetrial, type RecordedCall, type Retrial } from "@writ/core";
import { compileRules } from "@writ/policy";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";
import { buildTenantState } from "./build-tenant-state.ts";
import { readEvent, selectEvents, selectHead } from "./list-audit-events.ts";
import { requireReadable, validatePolicy } from "./validate-policy.ts";

/** Events looked at in one request: some tens of milliseconds of this process. */
const EVENTS_MAX = 5_000;

/** Stages behind the policy, of the decision and of the call: what they denied, the policy had allowed. */
const BEHIND: ReadonlySet<string> = new Set([
  ...CHECKS.slice(CHECKS.indexOf("policy") + 1),
  "headers",
  "hold",
  "budget",
  "commit",
]);

export async function tryPolicy(context: ControlContext, tenantId: string, input: PolicyTry): Promise<PolicyTryAnswer> {
  const checked = validatePolicy(input.source);
  requireReadable(checked);
  const { digest } = checked;
  const compilation = compileRules(input.source, { digest });
  if (compilation.kind === "problems") throw new TypeError("a file that was just read does not compile");
  const retry = createRetrial(await buildTenantState(context, tenantId), compilation.policy);
  const after = input.after ?? -1;
  const { rows, isEnd } = await context.store.read([tenantId], async (transaction) => {
    const head = await selectHead(transaction, tenantId);
    if (head === undefined) throw notFound();
    const epoch = input.epoch ?? head.epoch;
    const through = Number.MAX_SAFE_INTEGER;
    const found = await selectEvents(transaction, { tenantId, epoch, after, through, limit: EVENTS_MAX });
    return { rows: found, isEnd: found.length < EVENTS_MAX };
  });
  const groups = new Map<string, Counted>();
  let calls = 0;
  let before = 0;
  for (const row of rows) {
    const read = readDecided(readEvent(row.event));
    if (read === undefined || read.call.timeMs < (input.sinceMs ?? 0)) continue;
    if (input.upstream !== undefined && read.call.upstream !== input.upstream) continue;
    if (read.decided === "before") {
      before += 1;
      continue;
    }
    calls += 1;
    count(groups, makeGroup(read.call, read.decided, read.name, retry(read.call)));
  }
  const next = isEnd ? undefined : rows.at(-1)?.sequence;
  return { digest, calls, before, groups: [...groups.values()], ...(next === undefined ? {} : { next }) };
}

/** A group while it is counted. */
type Counted = { -readonly [M in keyof PolicyTryGroup]: PolicyTryGroup[M] };

function count(groups: Map<string, Counted>, group: Counted): void {
  const { count: _count, firstMs: _first, lastMs, ...same } = group;
  const key = JSON.stringify(same);
  const known = groups.get(key);
  if (known === undefined) groups.set(key, group);
  else {
    known.count += 1;
    known.lastMs = lastMs;
  }
}

function makeGroup(call: RecordedCall, decided: PolicyTryGroup["decided"], name: string, retrial: Retrial): Counted {
  const { agentId, action, upstream, timeMs } = call;
  const ruleId = "ruleId" in retrial ? retrial.ruleId : "";
  return {
    outcome: retrial.kind,
    decided,
    agentId,
    action,
    upstream,
    ...(name === "" ? {} : { name }),
    ...(retrial.kind === "deny" ? { reason: retrial.reason } : {}),
    ...(ruleId === "" ? {} : { ruleId }),
    ...(retrial.kind === "unknown" ? { why: retrial.why } : {}),
    count: 1,
    firstMs: timeMs,
    lastMs: timeMs,
  };
}

interface Decided {
  readonly call: RecordedCall;
  /** The tool or route, for whoever reads the report. */
  readonly name: string;
  readonly decided: PolicyTryGroup["decided"] | "before";
}

/** The call that an event decided about; undefined for every other event. */
function readDecided(event: Readonly<Record<string, unknown>>): Decided | undefined {
  const text = (name: string): string => {
    const value = event[name];
    return typeof value === "string" ? value : "";
  };
  const given = text("event") === "decision.given";
  if (!given && text("event") !== "call.decided") return undefined;
  const action = text("action");
  if (!isAction(action)) return undefined;
  const tool = text("tool");
  const call: RecordedCall = {
    agentId: text("agentId"),
    principalId: text("principalId"),
    ...(text("node") === "" ? {} : { node: text("node"), root: text("root") }),
    action,
    upstream: text("upstream"),
    tool,
    definitionDigest: text("definition"),
    // The log has the words of the contract.
    protocol: text("protocol") as RequestContext["protocol"],
    timeMs: Number(event["time"]),
    hadArguments: text("arguments") !== "",
    hadOwnName: text("resource") !== "" || tool.startsWith("sha256:"),
  };
  const check = text("check");
  const isAllowed = given || text("decision") === "allow";
  const reached = isAllowed || check === "policy" || BEHIND.has(check);
  const decided = !reached ? "before" : !isAllowed ? "deny" : event["wouldDeny"] === undefined ? "allow" : "observed";
  return { call, name: tool || text("route"), decided };
}

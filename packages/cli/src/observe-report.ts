/** What the policy would have denied of the calls that observe mode let through: read from the log by pages, and counted here. */
import type { AuditEventView } from "@writ/contract/admin";
import type { AdminSession } from "./admin-session.ts";
import { type Column, formatTable, formatTime } from "./format-table.ts";

/** Calls of one agent, on one thing, that one rule would have denied for one reason. */
interface ObservedGroup {
  /** Its name; its id when it is no longer registered. */
  readonly agent: string;
  readonly upstream: string;
  readonly action: string;
  /** The tool or route; absent for what has neither. */
  readonly name?: string;
  readonly reason: string;
  /** "" when no rule was named. */
  readonly rule: string;
  count: number;
  readonly firstMs: number;
  lastMs: number;
}

const COLUMNS: readonly Column<ObservedGroup>[] = [
  { title: "AGENT", value: ({ agent }) => agent },
  { title: "CALL", value: describeCall },
  { title: "REASON", value: ({ reason }) => reason },
  { title: "RULE", value: ({ rule }) => (rule === "" ? undefined : rule) },
  { title: "COUNT", value: ({ count }) => count, align: "right" },
  { title: "FIRST", value: ({ firstMs }) => formatTime(firstMs) },
  { title: "LAST", value: ({ lastMs }) => formatTime(lastMs) },
];

/** Groups kept; what differs from all of them is counted as one more. */
const GROUPS_MAX = 10_000;
const PAGE = 500;

export async function reportObserved(
  session: AdminSession,
  upstream: string | undefined,
  { epoch, since }: { readonly epoch?: number; readonly since?: number },
): Promise<void> {
  const { client, context, tenant, show } = session;
  const agents = await agentNames(session);
  const fromMs = since === undefined ? 0 : context.nowMs() - since * 1000;
  const groups = new Map<string, ObservedGroup>();
  let calls = 0;
  let ungrouped = 0;
  const query = { limit: PAGE, wouldDeny: true, ...(epoch === undefined ? {} : { epoch }) } as const;
  for await (const { event } of client.pages("audit.events", { params: { tenant }, query })) {
    const observed = readObserved(event, agents);
    if (observed === undefined || observed.lastMs < fromMs) continue;
    if (upstream !== undefined && observed.upstream !== upstream) continue;
    calls += 1;
    const { agent, action, name, reason, rule } = observed;
    const key = JSON.stringify([agent, observed.upstream, action, name, reason, rule]);
    const group = groups.get(key);
    if (group !== undefined) {
      group.count += 1;
      group.lastMs = observed.lastMs;
    } else if (groups.size < GROUPS_MAX) groups.set(key, observed);
    else ungrouped += 1;
  }
  const items = [...groups.values()].sort((a, b) => b.count - a.count);
  await show({ calls, ungrouped, items }, () => {
    if (calls === 0) return "Nothing on record that the policy would have denied and observe mode let through.\n";
    const more = ungrouped === 0 ? "" : `${ungrouped} further calls are in none of these groups.\n`;
    return `${formatTable(items, COLUMNS)}The policy would have denied ${calls} calls.\n${more}`;
  });
}

/** Names of agents by their ids. */
export async function agentNames({ client, tenant }: AdminSession): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  for await (const { id, name } of client.pages("agents.list", { params: { tenant }, query: {} })) names.set(id, name);
  return names;
}

export function describeCall({ upstream, action, name }: Pick<ObservedGroup, "upstream" | "action" | "name">): string {
  if (action === "tool.call") return `${upstream}/${name ?? "?"}`;
  return name === undefined ? `${upstream} ${action}` : `${upstream} ${action} ${name}`;
}

function readObserved(event: AuditEventView["event"], agents: ReadonlyMap<string, string>): ObservedGroup | undefined {
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const { wouldDeny } = event;
  if (typeof wouldDeny !== "object" || wouldDeny === null) return undefined;
  const { reason, ruleId } = wouldDeny as { readonly reason?: unknown; readonly ruleId?: unknown }; // read as text below
  const agentId = text(event["agentId"]);
  const name = text(event["tool"]) || text(event["route"]);
  const timeMs = Number(event["time"]);
  return {
    agent: agents.get(agentId) ?? agentId,
    upstream: text(event["upstream"]),
    action: text(event["action"]),
    ...(name === "" ? {} : { name }),
    reason: text(reason),
    rule: text(ruleId),
    count: 1,
    firstMs: timeMs,
    lastMs: timeMs,
  };
}

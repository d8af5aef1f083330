/** What a rules file would have decided about the calls on record: asked of the control plane stretch by stretch, and added up. */
import type { PolicyTryGroup } from "@writ/contract/admin";
import type { AdminSession } from "./admin-session.ts";
import { type Column, formatTable, formatTime } from "./format-table.ts";
import { agentNames, describeCall } from "./observe-report.ts";

interface Group extends PolicyTryGroup {
  readonly agent: string;
}

const CALL_COLUMNS: readonly Column<Group>[] = [
  { title: "AGENT", value: ({ agent }) => agent },
  { title: "CALL", value: describeCall },
];
const COUNT_COLUMNS: readonly Column<Group>[] = [
  { title: "THEN", value: ({ decided }) => decided },
  { title: "COUNT", value: ({ count }) => count, align: "right" },
  { title: "LAST", value: ({ lastMs }) => formatTime(lastMs) },
];
const RULE: Column<Group> = { title: "RULE", value: ({ ruleId }) => ruleId };

const WHY = {
  name: "the log has what it was on as a digest",
  gone: "who made it is not on record any more",
  policy: "the rules fail",
} as const;

/** How each outcome is told, in the order of what a reader must look at. */
const PARTS = [
  {
    outcome: "deny",
    title: "Would be denied",
    columns: [...CALL_COLUMNS, { title: "REASON", value: ({ reason }: Group) => reason }, RULE, ...COUNT_COLUMNS],
  },
  {
    outcome: "arguments",
    title: "Depends on arguments, which the log does not hold",
    columns: [...CALL_COLUMNS, RULE, ...COUNT_COLUMNS],
  },
  {
    outcome: "unknown",
    title: "Cannot be recomputed",
    columns: [
      ...CALL_COLUMNS,
      { title: "WHY", value: ({ why }: Group) => (why === undefined ? undefined : WHY[why]) },
      ...COUNT_COLUMNS,
    ],
  },
  { outcome: "allow", title: "Would be allowed", columns: [...CALL_COLUMNS, RULE, ...COUNT_COLUMNS] },
] as const;

export async function tryPolicy(
  session: AdminSession,
  source: string,
  { upstream, since, epoch }: { readonly upstream?: string; readonly since?: number; readonly epoch?: number },
): Promise<void> {
  const { client, context, tenant, show } = session;
  const agents = await agentNames(session);
  const groups = new Map<string, Group>();
  const sum = { calls: 0, before: 0 };
  let digest = "";
  let after: number | undefined;
  do {
    const answer = await client.call("policy.try", {
      params: { tenant },
      body: {
        source,
        ...(after === undefined ? {} : { after }),
        ...(epoch === undefined ? {} : { epoch }),
        ...(upstream === undefined ? {} : { upstream }),
        ...(since === undefined ? {} : { sinceMs: context.nowMs() - since * 1000 }),
      },
    });
    digest = answer.digest;
    sum.calls += answer.calls;
    sum.before += answer.before;
    for (const group of answer.groups) add(groups, { ...group, agent: agents.get(group.agentId) ?? group.agentId });
    after = answer.next;
  } while (after !== undefined);
  const items = [...groups.values()].sort((a, b) => b.count - a.count);
  const counted = (outcome: PolicyTryGroup["outcome"], why?: PolicyTryGroup["why"]): number =>
    items
      .filter((item) => item.outcome === outcome && (why === undefined || item.why === why))
      .reduce((total, { count }) => total + count, 0);
  const { calls, before } = sum;
  const totals = {
    calls,
    before,
    allowed: counted("allow"),
    denied: counted("deny"),
    dependsOnArguments: counted("arguments"),
    unknown: counted("unknown"),
    unknownBecause: {
      name: counted("unknown", "name"),
      gone: counted("unknown", "gone"),
      policy: counted("unknown", "policy"),
    },
  };
  const recomputed = calls === 0 ? 1 : (totals.allowed + totals.denied) / calls;
  await show({ digest, ...totals, recomputed, items }, () => {
    if (calls === 0) return "There are no calls on record that a policy was asked about.\n";
    const parts = PARTS.map(({ outcome, title, columns }) => {
      const rows = items.filter((item) => item.outcome === outcome);
      return rows.length === 0 ? "" : `${title}: ${counted(outcome)}\n${formatTable<Group>(rows, columns)}\n`;
    });
    const share = describeShare(totals);
    const rest = before === 0 ? "" : `${before} further calls were refused before any rule was asked.\n`;
    return `${parts.join("")}${share}${rest}`;
  });
}

interface Totals {
  readonly calls: number;
  readonly allowed: number;
  readonly denied: number;
  readonly dependsOnArguments: number;
  readonly unknownBecause: Readonly<Record<keyof typeof WHY, number>>;
}

/** Of how many calls the report speaks, and of how many it does not and why: nobody is to take silence for an allow. */
export function describeShare({ calls, allowed, denied, dependsOnArguments, unknownBecause }: Totals): string {
  const recomputed = allowed + denied;
  const share = `Recomputed ${recomputed} of ${calls} calls (${Math.floor((recomputed / calls) * 100)} %).\n`;
  const reasons = (
    [
      [
        unknownBecause.name,
        "The log holds what it was on (a resource, a prompt, a path, a name of no tool) as a salted digest",
      ],
      [dependsOnArguments, "It depends on arguments, which the log holds as a salted digest"],
      [unknownBecause.gone, "Who made it is not on record any more"],
      [unknownBecause.policy, "The rules fail"],
    ] as const
  ).filter(([count]) => count > 0);
  if (reasons.length === 0) return share;
  const lines = reasons.map(([count, why]) => `  ${String(count).padStart(String(calls).length)}  ${why}.\n`);
  return `${share}Not recomputed: ${calls - recomputed}. These rules may allow or deny them; only observation tells.\n${lines.join("")}`;
}

function add(groups: Map<string, Group>, group: Group): void {
  const { count, firstMs, lastMs, ...same } = group;
  const key = JSON.stringify(same);
  const known = groups.get(key);
  groups.set(
    key,
    known === undefined
      ? group
      : {
          ...same,
          count: known.count + count,
          firstMs: Math.min(known.firstMs, firstMs),
          lastMs: Math.max(known.lastMs, lastMs),
        },
  );
}

/** `writ budget`: limits over windows, and what has been used of them. */
import { BUDGET_MODES, BUDGET_SCOPES, BUDGET_UNITS, WINDOWS } from "@writ/contract";
import type { BudgetUsage, BudgetView, UnknownCallView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import { type Column, formatTime } from "../format-table.ts";
import { readChoice, readCount } from "../read-values.ts";

const COLUMNS: readonly Column<BudgetView>[] = [
  { title: "SCOPE", value: ({ scope }) => scope },
  { title: "OF", value: ({ scopeId }) => (scopeId === "" ? undefined : scopeId) },
  { title: "LIMIT", value: ({ limit }) => limit, align: "right" },
  { title: "UNIT", value: ({ unit }) => unit },
  { title: "WINDOW", value: ({ window }) => window },
  { title: "MODE", value: ({ mode }) => mode },
  { title: "ID", value: ({ id }) => id },
];

const USAGE_COLUMNS: readonly Column<BudgetUsage>[] = [
  { title: "SCOPE", value: ({ scope }) => scope },
  { title: "OF", value: ({ scopeId }) => (scopeId === "" ? undefined : scopeId) },
  { title: "WINDOW", value: ({ window }) => window },
  { title: "LIMIT", value: ({ limit }) => limit, align: "right" },
  { title: "USED", value: ({ used }) => used, align: "right" },
  { title: "RESERVED", value: ({ reserved }) => reserved, align: "right" },
  { title: "UNKNOWN", value: ({ unknown }) => unknown, align: "right" },
  { title: "CARVED", value: ({ carved }) => carved, align: "right" },
  {
    title: "RESETS",
    value: ({ window, windowEndMs }) => (window === "total" ? "never" : formatTime(windowEndMs)),
  },
  { title: "MODE", value: ({ mode }) => mode },
];

const UNKNOWN_COLUMNS: readonly Column<UnknownCallView>[] = [
  { title: "CALL", value: ({ callId }) => callId },
  { title: "OPENED", value: ({ openedMs }) => formatTime(openedMs) },
  { title: "COUNTERS", value: ({ counters }) => counters, align: "right" },
  { title: "GATEWAY", value: ({ gatewayId }) => gatewayId },
];

const OUTCOMES = ["ran", "not_run"] as const;

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "budget", "Budgets: how many calls may be made, or credits spent, in a window.");
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List budget rules.",
    run: ({ list, tenant }) => list("budgets.list", { params: { tenant }, query: {} }, COLUMNS),
  });
  defineAdminCommand<{
    readonly limit: number;
    readonly window: (typeof WINDOWS)[number];
    readonly unit: (typeof BUDGET_UNITS)[number];
    readonly mode: (typeof BUDGET_MODES)[number];
  }>(group, context, {
    usage: "add <scope> [of]",
    summary: "Limit what the tenant, an agent, a principal, an upstream, a tool or a node may use.",
    arguments: [BUDGET_SCOPES.join(", "), "id or name of the agent or principal; upstream; upstream/tool; node"],
    options: [
      option("--limit <count>", "how much may be used in a window").argParser(readCount(0)).makeOptionMandatory(),
      option("--window <window>", WINDOWS.join(", ")).argParser(readChoice(WINDOWS)).makeOptionMandatory(),
      option("--unit <unit>", BUDGET_UNITS.join(", ")).argParser(readChoice(BUDGET_UNITS)).default("calls"),
      option("--mode <mode>", BUDGET_MODES.join(", ")).argParser(readChoice(BUDGET_MODES)).default("hard"),
    ],
    async run({ client, tenant, show }, [scopeText, of], { limit, window, unit, mode }) {
      const scope = readChoice(BUDGET_SCOPES)(given(scopeText));
      if ((scope === "tenant") !== (of === undefined)) {
        throw refused(
          scope === "tenant" ? "A budget of the tenant names nothing else." : `Name the ${scope} whose budget this is.`,
        );
      }
      const budget = await client.call("budgets.create", {
        params: { tenant },
        body: { scope, scopeId: of ?? "", unit, window, limit, mode },
      });
      await show(budget, () => `Added budget ${budget.id}: ${limit} ${unit} a ${window} (${mode}).\n`);
    },
  });
  defineAdminCommand<{ readonly limit?: number; readonly mode?: (typeof BUDGET_MODES)[number] }>(group, context, {
    usage: "set <budget>",
    summary: "Change a budget's limit or mode.",
    arguments: ["id"],
    options: [
      option("--limit <count>", "how much may be used in a window").argParser(readCount(0)),
      option("--mode <mode>", BUDGET_MODES.join(", ")).argParser(readChoice(BUDGET_MODES)),
    ],
    async run({ client, tenant, show }, [id], { limit, mode }) {
      if (limit === undefined && mode === undefined) throw refused("Say what to change: --limit or --mode.");
      const params = { tenant, id: given(id) };
      const { version } = await client.call("budgets.get", { params });
      const changed = await client.call("budgets.update", {
        params,
        body: { version, ...(limit === undefined ? {} : { limit }), ...(mode === undefined ? {} : { mode }) },
      });
      await show(
        changed,
        () => `The limit is ${changed.limit} ${changed.unit} a ${changed.window} (${changed.mode}).\n`,
      );
    },
  });
  defineAdminCommand(group, context, {
    usage: "remove <budget>",
    summary: "Remove a budget rule.",
    arguments: ["id"],
    async run({ client, tenant, show }, [id]) {
      const params = { tenant, id: given(id) };
      const { version } = await client.call("budgets.get", { params });
      await client.call("budgets.remove", { params, query: { version } });
      await show({ removed: params.id }, () => `Removed budget ${params.id}.\n`);
    },
  });
  defineAdminCommand(group, context, {
    usage: "usage",
    summary: "Show what has been used in the current windows.",
    run: ({ list, tenant }) => list("budgets.usage", { params: { tenant }, query: {} }, USAGE_COLUMNS),
  });
  defineAdminCommand(group, context, {
    usage: "unknown",
    summary: "List calls that may have run; each stays charged until it is reconciled.",
    run: ({ list, tenant }) => list("calls.unknown", { params: { tenant }, query: {} }, UNKNOWN_COLUMNS),
  });
  defineAdminCommand<{ readonly outcome: (typeof OUTCOMES)[number] }>(group, context, {
    usage: "reconcile <call>",
    summary: "Say whether a call that may have run did: what did not is given back.",
    arguments: ["id"],
    options: [option("--outcome <outcome>", OUTCOMES.join(", ")).argParser(readChoice(OUTCOMES)).makeOptionMandatory()],
    async run({ client, tenant, show }, [id], { outcome }) {
      const answer = await client.call("calls.reconcile", { params: { tenant, id: given(id) }, body: { outcome } });
      await show(answer, () => `${answer.callId} ${outcome === "ran" ? "stays charged" : "is no longer charged"}.\n`);
    },
  });
};

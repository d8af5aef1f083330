/** `writ rate`: how often agents, upstreams' endpoints and the tenant may be used. */
import { RATE_LIMIT_MAX, RATE_PERIODS, RATE_SCOPES } from "@writ/contract";
import type { RateView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import type { Column } from "../format-table.ts";
import { readChoice, readCount } from "../read-values.ts";

const COLUMNS: readonly Column<RateView>[] = [
  { title: "SCOPE", value: ({ scope }) => scope },
  { title: "OF", value: ({ scopeId }) => (scopeId === "" ? undefined : scopeId) },
  { title: "LIMIT", value: ({ limit }) => limit, align: "right" },
  { title: "PER", value: ({ per }) => per },
  { title: "ID", value: ({ id }) => id },
];

const limitOption = () =>
  option("--limit <count>", "how many attempts within the period, at all gateways together").argParser(
    readCount(1, RATE_LIMIT_MAX),
  );

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(
    program,
    "rate",
    "Rates: how many attempts are let through within any second, minute or hour. Live gateways have equal parts.",
  );
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List rates.",
    run: ({ list, tenant }) => list("rates.list", { params: { tenant }, query: {} }, COLUMNS),
  });
  defineAdminCommand<{ readonly limit: number; readonly per: (typeof RATE_PERIODS)[number] }>(group, context, {
    usage: "add <scope> [of]",
    summary: "Limit how often the tenant, an agent or an upstream's endpoint is used.",
    arguments: [RATE_SCOPES.join(", "), "id or name of the agent; upstream"],
    options: [
      limitOption().makeOptionMandatory(),
      option("--per <period>", RATE_PERIODS.join(", ")).argParser(readChoice(RATE_PERIODS)).makeOptionMandatory(),
    ],
    async run({ client, tenant, show }, [scopeText, of], { limit, per }) {
      const scope = readChoice(RATE_SCOPES)(given(scopeText));
      if ((scope === "tenant") !== (of === undefined)) {
        throw refused(
          scope === "tenant" ? "A rate of the tenant names nothing else." : `Name the ${scope} whose rate this is.`,
        );
      }
      const body = { scope, scopeId: of ?? "", limit, per };
      const rate = await client.call("rates.create", { params: { tenant }, body });
      await show(rate, () => `Added rate ${rate.id}: ${limit} a ${per}.\n`);
    },
  });
  defineAdminCommand<{ readonly limit: number }>(group, context, {
    usage: "set <rate>",
    summary: "Change a rate's limit.",
    arguments: ["id"],
    options: [limitOption().makeOptionMandatory()],
    async run({ client, tenant, show }, [id], { limit }) {
      const params = { tenant, id: given(id) };
      const { version } = await client.call("rates.get", { params });
      const changed = await client.call("rates.update", { params, body: { version, limit } });
      await show(changed, () => `The limit is ${changed.limit} a ${changed.per}.\n`);
    },
  });
  defineAdminCommand(group, context, {
    usage: "remove <rate>",
    summary: "Remove a rate.",
    arguments: ["id"],
    async run({ client, tenant, show }, [id]) {
      const params = { tenant, id: given(id) };
      const { version } = await client.call("rates.get", { params });
      await client.call("rates.remove", { params, query: { version } });
      await show({ removed: params.id }, () => `Removed rate ${params.id}.\n`);
    },
  });
};

/** `writ agent`: agents, and what a client needs to act as one. */
import type { AgentView } from "@writ/contract/admin";
import { connectAgent } from "../connect-agent.ts";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { type Column, formatFields } from "../format-table.ts";
import { readDuration, readMany, readPairs } from "../read-values.ts";
import { setStatus } from "../set-status.ts";

const COLUMNS: readonly Column<AgentView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "STATUS", value: ({ status }) => status },
  { title: "PRINCIPAL", value: ({ principalId }) => principalId },
  { title: "LABELS", value: ({ labels }) => formatLabels(labels) },
  { title: "ID", value: ({ id }) => id },
];

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "agent", "Agents: software that acts for a principal, authenticated as itself.");
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List agents.",
    run: ({ list, tenant }) => list("agents.list", { params: { tenant }, query: {} }, COLUMNS),
  });
  defineAdminCommand<{ readonly principal: string; readonly label?: Readonly<Record<string, string>> }>(
    group,
    context,
    {
      usage: "add <name>",
      summary: "Register an agent.",
      options: [
        option("--principal <principal>", "id or name of the principal it acts for").makeOptionMandatory(),
        option("--label <name=value>", "a label; may be repeated").argParser(readPairs),
      ],
      async run({ client, tenant, show }, [name], { principal, label }) {
        const agent = await client.call("agents.create", {
          params: { tenant },
          body: { name: given(name), principal, ...(label === undefined ? {} : { labels: label }) },
        });
        await show(agent, () => `Registered ${agent.name} (${agent.id}).\n`);
      },
    },
  );
  defineAdminCommand(group, context, {
    usage: "show <agent>",
    summary: "Show an agent.",
    arguments: ["id or name"],
    async run({ client, tenant, show }, [id]) {
      const agent = await client.call("agents.get", { params: { tenant, id: given(id) } });
      await show(agent, () =>
        formatFields([
          ["name", agent.name],
          ["id", agent.id],
          ["status", agent.status],
          ["principal", agent.principalId],
          ["labels", formatLabels(agent.labels)],
          ["version", agent.version],
        ]),
      );
    },
  });
  for (const { verb, status, summary } of [
    { verb: "suspend", status: "suspended", summary: "Suspend an agent: its calls are denied from now on." },
    { verb: "resume", status: "active", summary: "Let a suspended agent call again." },
  ] as const) {
    defineAdminCommand(group, context, {
      usage: `${verb} <agent>`,
      summary,
      arguments: ["id or name"],
      run: (session, [id]) => setStatus(session, "agents", given(id), status),
    });
  }
  defineAdminCommand<{
    readonly gatewayUrl?: string;
    readonly mint?: boolean;
    readonly tokenFile?: string;
    readonly caveat?: readonly string[];
    readonly expiresIn?: number;
  }>(group, context, {
    usage: "connect <agent>",
    summary: "Print what Claude Code and Cursor need to call each upstream as this agent.",
    arguments: ["id or name"],
    options: [
      option("--gateway-url <url>", "the gateway (WRIT_GATEWAY_URL; http://127.0.0.1:8484)"),
      option("--mint", "mint a token for it, into a file of mode 0600"),
      option("--token-file <file>", "where the token goes (.writ/tokens/<agent>)"),
      option("--caveat <json>", "a caveat of the token; may be repeated").argParser(readMany),
      option("--expires-in <duration>", "life of the token, such as 90d").argParser(readDuration),
    ],
    run: (session, [id], options) => connectAgent(session, given(id), options),
  });
};

function formatLabels(labels: Readonly<Record<string, string>>): string | undefined {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? undefined : pairs.join(" ");
}

/** `writ principal`: who agents act for. */
import type { PrincipalView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import type { Column } from "../format-table.ts";
import { formatFields } from "../format-table.ts";
import { readChoice } from "../read-values.ts";
import { setStatus } from "../set-status.ts";

const TYPES = ["person", "team", "service"] as const;

const COLUMNS: readonly Column<PrincipalView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "TYPE", value: ({ type }) => type },
  { title: "STATUS", value: ({ status }) => status },
  { title: "ID", value: ({ id }) => id },
];

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "principal", "Principals: people, teams and services that agents act for.");
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List principals.",
    run: ({ list, tenant }) => list("principals.list", { params: { tenant }, query: {} }, COLUMNS),
  });
  defineAdminCommand<{ readonly type: (typeof TYPES)[number] }>(group, context, {
    usage: "add <name>",
    summary: "Register a principal.",
    options: [option("--type <type>", TYPES.join(", ")).argParser(readChoice(TYPES)).makeOptionMandatory()],
    async run({ client, tenant, show }, [name], { type }) {
      const principal = await client.call("principals.create", {
        params: { tenant },
        body: { name: given(name), type },
      });
      await show(principal, () => `Registered ${principal.name} (${principal.id}).\n`);
    },
  });
  defineAdminCommand(group, context, {
    usage: "show <principal>",
    summary: "Show a principal.",
    arguments: ["id or name"],
    async run({ client, tenant, show }, [id]) {
      const principal = await client.call("principals.get", { params: { tenant, id: given(id) } });
      const { name, type, status, version } = principal;
      await show(principal, () =>
        formatFields([
          ["name", name],
          ["id", principal.id],
          ["type", type],
          ["status", status],
          ["version", version],
        ]),
      );
    },
  });
  for (const { verb, status, summary } of [
    {
      verb: "suspend",
      status: "suspended",
      summary: "Suspend a principal: calls of its agents are denied from now on.",
    },
    { verb: "resume", status: "active", summary: "Let the agents of a suspended principal call again." },
  ] as const) {
    defineAdminCommand(group, context, {
      usage: `${verb} <principal>`,
      summary,
      arguments: ["id or name"],
      run: (session, [id]) => setStatus(session, "principals", given(id), status),
    });
  }
};

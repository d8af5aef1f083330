/** `writ tenant`: tenants and their settings. */
import type { TenantView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import { type Column, formatFields } from "../format-table.ts";
import { readCount, readDuration } from "../read-values.ts";
import { setStatus } from "../set-status.ts";

const COLUMNS: readonly Column<TenantView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "STATUS", value: ({ status }) => status },
  { title: "TOKEN LIFETIME", value: ({ tokenLifetimeMaxSeconds }) => `${tokenLifetimeMaxSeconds}s`, align: "right" },
  { title: "ID", value: ({ id }) => id },
];

interface Settings {
  readonly tokenLifetimeMax?: number;
  readonly budgetNodesMax?: number;
}

const SETTINGS = () => [
  option("--token-lifetime-max <duration>", "longest life of a token, such as 24h").argParser(readDuration),
  option("--budget-nodes-max <count>", "most budget counters below one token").argParser(readCount(1, 1_000_000)),
];

function settingsOf(options: Settings): { tokenLifetimeMaxSeconds?: number; budgetNodesMax?: number } {
  return {
    ...(options.tokenLifetimeMax === undefined ? {} : { tokenLifetimeMaxSeconds: options.tokenLifetimeMax }),
    ...(options.budgetNodesMax === undefined ? {} : { budgetNodesMax: options.budgetNodesMax }),
  };
}

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "tenant", "Tenants; they cannot see each other.");
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List tenants.",
    run: ({ list }) => list("tenants.list", { query: {} }, COLUMNS),
  });
  defineAdminCommand<Settings>(group, context, {
    usage: "add <name>",
    summary: "Create a tenant with its first root key.",
    options: SETTINGS(),
    async run({ client, show }, [name], options) {
      const tenant = await client.call("tenants.create", { body: { name: given(name), ...settingsOf(options) } });
      await show(tenant, () => `Created ${tenant.name} (${tenant.id}).\n`);
    },
  });
  defineAdminCommand(group, context, {
    usage: "show <tenant>",
    summary: "Show a tenant's settings.",
    arguments: ["id or name"],
    async run({ client, show }, [id]) {
      const tenant = await client.call("tenants.get", { params: { tenant: given(id) } });
      await show(tenant, () =>
        formatFields([
          ["name", tenant.name],
          ["id", tenant.id],
          ["status", tenant.status],
          ["token lifetime", `${tenant.tokenLifetimeMaxSeconds}s`],
          ["budget nodes", tenant.budgetNodesMax],
          ["version", tenant.version],
        ]),
      );
    },
  });
  defineAdminCommand<Settings>(group, context, {
    usage: "set <tenant>",
    summary: "Change a tenant's settings.",
    arguments: ["id or name"],
    options: SETTINGS(),
    async run({ client, show }, [id], options) {
      const settings = settingsOf(options);
      if (Object.keys(settings).length === 0) throw refused("Say what to change; see --help.");
      const params = { tenant: given(id) };
      const { version } = await client.call("tenants.get", { params });
      const changed = await client.call("tenants.update", { params, body: { version, ...settings } });
      await show(changed, () => `Changed ${changed.name}.\n`);
    },
  });
  for (const { verb, status, summary } of [
    { verb: "suspend", status: "suspended", summary: "Suspend a tenant: its calls are denied from now on." },
    { verb: "resume", status: "active", summary: "Let the agents of a suspended tenant call again." },
  ] as const) {
    defineAdminCommand(group, context, {
      usage: `${verb} <tenant>`,
      summary,
      arguments: ["id or name"],
      run: (session, [id]) => setStatus(session, "tenants", given(id), status),
    });
  }
};

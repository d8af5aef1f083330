/** `writ upstream`: the servers behind the gateway, and the tools that were pinned of them. */
import type { UpstreamTransport } from "@writ/contract";
import type { PinAnswer, ToolView, UpstreamView } from "@writ/contract/admin";
import type { Command } from "commander";
import type { AdminSession } from "../admin-session.ts";
import type { CliContext } from "../cli-context.ts";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import { type Column, formatTable } from "../format-table.ts";
import { readChoice, readCount, readPairs } from "../read-values.ts";
import { setStatus } from "../set-status.ts";

const ISOLATIONS = ["shared", "principal", "session"] as const;

interface UpstreamOptions {
  readonly isolation?: (typeof ISOLATIONS)[number];
  readonly timeoutMs?: number;
  readonly concurrencyMax?: number;
  readonly pin: boolean;
}

const COLUMNS: readonly Column<UpstreamView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "STATUS", value: ({ status }) => status },
  { title: "TRANSPORT", value: ({ transport }) => formatTransport(transport) },
  { title: "ISOLATION", value: ({ isolation }) => isolation },
  { title: "TOOLS", value: ({ toolsPinned }) => toolsPinned, align: "right" },
  { title: "ID", value: ({ id }) => id },
];

const TOOL_COLUMNS: readonly Column<ToolView>[] = [
  { title: "TOOL", value: ({ upstream, name }) => `${upstream}/${name}` },
  { title: "STATUS", value: ({ status }) => status },
  { title: "DIGEST", value: ({ digest }) => digest.slice(0, 16) },
];

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "upstream", "Upstreams: the servers behind the gateway.");
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List upstreams.",
    run: ({ list, tenant }) => list("upstreams.list", { params: { tenant }, query: {} }, COLUMNS),
  });
  defineAdd(group, context);
  defineAdminCommand(group, context, {
    usage: "pin <upstream>",
    summary: "Look at an upstream's catalogue and pin its tools as they are now.",
    arguments: ["id or name"],
    run: (session, [id]) => pin(session, given(id)),
  });
  defineAdminCommand(group, context, {
    usage: "tools <upstream>",
    summary: "List the pinned tools of an upstream.",
    arguments: ["id or name"],
    run: ({ list, tenant }, [id]) =>
      list("upstreams.tools", { params: { tenant, id: given(id) }, query: {} }, TOOL_COLUMNS),
  });
  for (const { verb, status, summary } of [
    {
      verb: "suspend",
      status: "suspended",
      summary: "Suspend an upstream: calls of its tools are denied from now on.",
    },
    { verb: "resume", status: "active", summary: "Let the tools of a suspended upstream be called again." },
  ] as const) {
    defineAdminCommand(group, context, {
      usage: `${verb} <upstream>`,
      summary,
      arguments: ["id or name"],
      run: (session, [id]) => setStatus(session, "upstreams", given(id), status),
    });
  }
  defineAdminCommand(group, context, {
    usage: "remove <upstream>",
    summary: "Remove an upstream with its tools.",
    arguments: ["id or name"],
    async run({ client, tenant, show }, [id]) {
      const params = { tenant, id: given(id) };
      const { version, name } = await client.call("upstreams.get", { params });
      await client.call("upstreams.remove", { params, query: { version } });
      await show({ removed: name }, () => `Removed ${name}.\n`);
    },
  });
};

function defineAdd(group: Command, context: CliContext): void {
  const add = group.command("add").description("Register an upstream and pin its tools.");
  const common = [
    option("--isolation <isolation>", `${ISOLATIONS.join(", ")} (principal)`).argParser(readChoice(ISOLATIONS)),
    option("--timeout-ms <ms>", "longest wait for one answer").argParser(readCount(100, 3_600_000)),
    option("--concurrency-max <count>", "calls at once").argParser(readCount(1, 10_000)),
    option("--no-pin", "pin its tools later, with: writ upstream pin"),
  ];
  defineAdminCommand<UpstreamOptions>(add, context, {
    usage: "http <name> <url>",
    summary: "Register an MCP server that speaks Streamable HTTP.",
    options: common,
    run: (session, [name, url], options) => register(session, given(name), { type: "http", url: given(url) }, options),
  });
  defineAdminCommand<UpstreamOptions & { readonly env?: Readonly<Record<string, string>> }>(add, context, {
    usage: "stdio <name> <command> [args...]",
    summary: "Register an MCP server that is started as a child. Write -- before arguments that begin with a dash.",
    options: [
      ...common,
      option(
        "--env <name=value>",
        "a variable of its environment, which is empty otherwise; may be repeated",
      ).argParser(readPairs),
    ],
    run: (session, [name, command, rest], options) => {
      // Commander gives a variadic argument as a list.
      const args = (rest ?? []) as unknown as readonly string[];
      const transport = { type: "stdio", command: given(command), args, env: options.env ?? {} } as const;
      return register(session, given(name), transport, options);
    },
  });
}

async function register(
  session: AdminSession,
  name: string,
  transport: UpstreamTransport,
  options: UpstreamOptions,
): Promise<void> {
  const { client, context, tenant, show } = session;
  if (transport.type === "http" && /:\/\/[^/]*@/.test(transport.url)) {
    throw refused("An upstream's URL carries no credentials.");
  }
  const upstream = await client.call("upstreams.create", {
    params: { tenant },
    body: {
      name,
      transport,
      ...(options.isolation === undefined ? {} : { isolation: options.isolation }),
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      ...(options.concurrencyMax === undefined ? {} : { concurrencyMax: options.concurrencyMax }),
    },
  });
  if (!options.pin) {
    await show(upstream, () => `Registered ${name} (${upstream.id}). Pin its tools with: writ upstream pin ${name}\n`);
    return;
  }
  context.note(`Registered ${name} (${upstream.id}).\n`);
  await pin(session, upstream.id);
}

async function pin({ client, context, tenant, show }: AdminSession, id: string): Promise<void> {
  context.note("Waiting for a gateway to read the catalogue…\n");
  const answer = await client.call("upstreams.pin", { params: { tenant, id } }, { timeoutMs: 120_000 });
  await show(answer, () => formatPin(answer));
}

function formatPin({ upstream, tools }: PinAnswer): string {
  return formatTable(
    tools,
    [
      { title: "TOOL", value: ({ name }) => `${upstream}/${name}` },
      { title: "CHANGE", value: ({ change }) => change },
      { title: "DIGEST", value: ({ digest }) => digest.slice(0, 16) },
    ],
    "The upstream has no tools.",
  );
}

function formatTransport(transport: UpstreamTransport): string {
  return transport.type === "http" ? transport.url : `stdio: ${[transport.command, ...transport.args].join(" ")}`;
}

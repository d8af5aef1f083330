/** `writ upstream`: the servers behind the gateway, and the tools that were pinned of them. */
import { HTTP_ROUTE_KINDS, type HttpRoute, type UpstreamCredential, type UpstreamTransport } from "@writ/contract";
import type {
  BreakerView,
  CatalogueDecide,
  CatalogueReview,
  PinAnswer,
  ReviewedInstructions,
  ReviewedTool,
  ToolFlag,
  ToolView,
  UpstreamView,
} from "@writ/contract/admin";
import type { Command } from "commander";
import type { AdminSession } from "../admin-session.ts";
import type { CliContext } from "../cli-context.ts";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import { type Column, formatTable, formatTime, printable } from "../format-table.ts";
import { readChoice, readCount, readMany, readPairs } from "../read-values.ts";
import { setStatus } from "../set-status.ts";

const ISOLATIONS = ["shared", "principal", "session"] as const;

interface UpstreamOptions {
  readonly isolation?: (typeof ISOLATIONS)[number];
  readonly timeoutMs?: number;
  readonly concurrencyMax?: number;
  readonly pin: boolean;
}

interface CredentialOptions {
  readonly bearerFrom?: string;
  readonly headerFrom?: Readonly<Record<string, string>>;
  readonly queryFrom?: Readonly<Record<string, string>>;
}

const COLUMNS: readonly Column<UpstreamView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "STATUS", value: ({ status }) => status },
  { title: "BREAKER", value: ({ breaker }) => formatBreaker(breaker) },
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
    summary: "Pin an upstream's tools for the first time; later, unpin what is gone and say what waits for a review.",
    arguments: ["id or name"],
    run: (session, [id]) => pin(session, given(id)),
  });
  defineAdminCommand(group, context, {
    usage: "review <upstream>",
    summary: "Read an upstream's catalogue now, and show how it differs from what is pinned.",
    arguments: ["id or name"],
    run: (session, [id]) => review(session, given(id)),
  });
  for (const { verb, summary } of [
    {
      verb: "approve",
      summary: "Pin what a review showed: these tools, or all that waits. Unpins what it showed as missing.",
    },
    {
      verb: "reject",
      summary: "Refuse what a review showed: these tools, or all that waits. What is pinned is quarantined.",
    },
  ] as const) {
    defineAdminCommand<DecideOptions>(group, context, {
      usage: `${verb} <upstream> [tools...]`,
      summary,
      arguments: ["id or name", "names of tools, without the upstream's"],
      options: [
        option("--review <digest>", "what the review ended with: nothing else is decided on").makeOptionMandatory(),
        option("--instructions", "the upstream's instructions; by itself, only those"),
      ],
      run: (session, [id, tools], options) => decide(session, verb, given(id), listOf(tools), options),
    });
  }
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
  const limits = [
    option("--timeout-ms <ms>", "longest wait for one answer").argParser(readCount(100, 3_600_000)),
    option("--concurrency-max <count>", "calls at once").argParser(readCount(1, 10_000)),
  ];
  const common = [
    option("--isolation <isolation>", `${ISOLATIONS.join(", ")} (principal)`).argParser(readChoice(ISOLATIONS)),
    ...limits,
    option("--no-pin", "pin its tools later, with: writ upstream pin"),
  ];
  defineAdminCommand<UpstreamOptions & CredentialOptions>(add, context, {
    usage: "http <name> <url>",
    summary: "Register an MCP server by its URL: Streamable HTTP, or the older HTTP+SSE.",
    options: [...common, ...credentialOptions()],
    run(session, [name, url], options) {
      const credentials = readCredentials(options);
      const transport = {
        type: "http",
        url: given(url),
        ...(credentials.length === 0 ? {} : { credentials }),
      } as const;
      return register(session, given(name), transport, options);
    },
  });
  defineAdminCommand<
    Omit<UpstreamOptions, "pin" | "isolation"> & CredentialOptions & { readonly route?: readonly string[] }
  >(add, context, {
    usage: "http-api <name> <url>",
    summary: "Register a plain HTTP API by its base URL. What of it can be reached is what its routes say.",
    options: [
      ...limits,
      option(
        "--route <kind:match>",
        `a route, such as "capability:GET,HEAD /v1/items/*" "public:GET /v1/status" (no token needed) or "deny:* /v1/admin/**"; the first that matches counts; may be repeated`,
      ).argParser(readMany),
      ...credentialOptions(),
    ],
    run: (session, [name, url], { route = [], ...options }) => {
      if (route.length === 0) throw refused('An HTTP API needs a route, such as --route "capability:GET /**".');
      const credentials = readCredentials(options);
      const transport = {
        type: "http_api",
        url: given(url),
        routes: route.map(readRoute),
        ...(credentials.length === 0 ? {} : { credentials }),
      } as const;
      return register(session, given(name), transport, { ...options, pin: false });
    },
  });
  defineAdminCommand<UpstreamOptions & { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string }>(
    add,
    context,
    {
      usage: "stdio <name> <command> [args...]",
      summary: "Register an MCP server that is started as a child. Write -- before arguments that begin with a dash.",
      options: [
        ...common,
        option(
          "--env <name=value>",
          "a variable of its environment, which is empty otherwise; may be repeated",
        ).argParser(readPairs),
        option("--cwd <directory>", "where it is started, as an absolute path on the gateway's machine"),
      ],
      run: (session, [name, command, rest], options) => {
        // Commander gives a variadic argument as a list.
        const args = (rest ?? []) as unknown as readonly string[];
        const { env = {}, cwd } = options;
        const transport = {
          type: "stdio",
          command: given(command),
          args,
          env,
          ...(cwd === undefined ? {} : { cwd }),
        } as const;
        return register(session, given(name), transport, options);
      },
    },
  );
}

function credentialOptions() {
  return [
    option("--bearer-from <file>", "send it `Authorization: Bearer` with the value of this credential file"),
    option(
      "--header-from <name=file>",
      "send it a header with the value of a file in the gateway's upstreams.credentialsDir; may be repeated",
    ).argParser(readPairs),
    option("--query-from <name=file>", "the same as a parameter of its URL; may be repeated").argParser(readPairs),
  ];
}

function readCredentials({ bearerFrom, headerFrom, queryFrom }: CredentialOptions): readonly UpstreamCredential[] {
  return [
    ...(bearerFrom === undefined
      ? []
      : [{ in: "header", name: "Authorization", prefix: "Bearer ", file: bearerFrom } as const]),
    ...Object.entries(headerFrom ?? {}).map(([name, file]) => ({ in: "header", name, file }) as const),
    ...Object.entries(queryFrom ?? {}).map(([name, file]) => ({ in: "query", name, file }) as const),
  ];
}

/** `kind:match`. What a match may be is checked where it is stored. */
function readRoute(text: string): HttpRoute {
  const colon = text.indexOf(":");
  const kind = HTTP_ROUTE_KINDS.find((known) => known === text.slice(0, colon));
  if (kind === undefined)
    throw refused(`"${text}" is no route: write ${HTTP_ROUTE_KINDS.join(", ")}, a colon and a match.`);
  return { kind, match: text.slice(colon + 1) };
}

async function register(
  session: AdminSession,
  name: string,
  transport: UpstreamTransport,
  options: UpstreamOptions,
): Promise<void> {
  const { client, context, tenant, show } = session;
  if (transport.type !== "stdio" && /:\/\/[^/]*@/.test(transport.url)) {
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
  if (transport.type === "http_api") {
    const isPublic = transport.routes.some(({ kind }) => kind === "public");
    const id = isPublic ? (await client.call("tenants.get", { params: { tenant } })).id : "";
    await show(
      upstream,
      () =>
        `Registered ${name} (${upstream.id}). Agents reach it below /http/${name}/ of the gateway.\n${
          isPublic ? `Without a token its public routes are reached below /public/${id}/${name}/.\n` : ""
        }`,
    );
    return;
  }
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
  const table = formatTable(
    tools,
    [
      { title: "TOOL", value: ({ name }) => `${upstream}/${name}` },
      { title: "CHANGE", value: ({ change }) => change },
      { title: "DIGEST", value: ({ digest }) => digest.slice(0, 16) },
      ...(tools.some(({ flags }) => flags.length > 0)
        ? [{ title: "FLAGS", value: ({ flags }: { readonly flags: readonly ToolFlag[] }) => formatFlags(flags) }]
        : []),
    ],
    "The upstream has no tools.",
  );
  const waits = tools.some(({ change }) => change === "held" || change === "pending");
  return waits
    ? `${table}What is held or pending cannot be called. Look at it with: writ upstream review ${upstream}\n`
    : table;
}

interface DecideOptions {
  readonly review: string;
  readonly instructions?: boolean;
}

/** Commander gives a variadic argument as a list. */
function listOf(argument: string | undefined): readonly string[] {
  return (argument ?? []) as unknown as readonly string[];
}

async function review({ client, context, tenant, show }: AdminSession, id: string): Promise<void> {
  context.note("Waiting for a gateway to read the catalogue…\n");
  const answer = await client.call("upstreams.review", { params: { tenant, id } }, { timeoutMs: 120_000 });
  await show(answer, () => formatReview(answer));
}

async function decide(
  { client, tenant, show }: AdminSession,
  verb: "approve" | "reject",
  id: string,
  tools: readonly string[],
  { review: digest, instructions }: DecideOptions,
): Promise<void> {
  const params = { tenant, id };
  const body: CatalogueDecide = {
    review: digest,
    ...(tools.length === 0 ? {} : { tools }),
    ...(instructions === true ? { instructions } : {}),
  };
  const answer = await client.call(`upstreams.${verb}`, { params, body });
  const done = verb === "approve" ? "Approved" : "Rejected";
  const named = [
    ...answer.tools.map((name) => `${answer.upstream}/${name}`),
    ...(answer.instructions ? ["its instructions"] : []),
  ];
  await show(answer, () => named.map((name) => `${done} ${printable(name)}.\n`).join(""));
}

const REVIEW_COLUMNS: readonly Column<{ readonly name: string; readonly part: ReviewedTool | ReviewedInstructions }>[] =
  [
    { title: "TOOL", value: ({ name }) => name },
    { title: "CHANGE", value: ({ part }) => part.change },
    { title: "STATUS", value: ({ part }) => part.status },
    { title: "FLAGS", value: ({ part }) => formatFlags(part.flags) },
  ];

/** The table of what is not as it is pinned, each difference in lines, and how to decide on it. */
function formatReview({ upstream, review: digest, pending, tools, instructions }: CatalogueReview): string {
  const parts = [
    ...tools.map((part) => ({ name: `${upstream}/${part.name}`, part })),
    { name: "(instructions)", part: instructions },
  ].filter(({ part }) => part.change !== "unchanged" || part.status !== "active");
  if (parts.length === 0) return "The upstream's catalogue is as it is pinned.\n";
  const details = parts
    .filter(({ part }) => part.flags.length + part.diff.length > 0)
    .map(({ name, part }) => {
      const flags = part.flags.map(({ code, detail }) => `! ${code}: ${detail}`);
      const lines =
        part.change === "restored" ? ["It is given again as it is pinned. What was seen:", ...part.diff] : part.diff;
      return `\n${printable(name)}\n${[...flags, ...lines].map((line) => `  ${printable(line)}\n`).join("")}`;
    });
  const hint = pending
    ? `\nTo pin all that waits:  writ upstream approve ${upstream} --review ${digest}\nOr to refuse it:        writ upstream reject ${upstream} --review ${digest}\n`
    : "";
  return `${formatTable(parts, REVIEW_COLUMNS)}${details.join("")}${hint}`;
}

function formatFlags(flags: readonly ToolFlag[]): string {
  return flags.map(({ code }) => code).join(" ");
}

function formatTransport(transport: UpstreamTransport): string {
  switch (transport.type) {
    case "http":
      return transport.url;
    case "http_api":
      return `http-api: ${transport.url}`;
    case "stdio":
      return `stdio: ${[transport.command, ...transport.args].join(" ")}`;
  }
}

/** With how many of the live gateways say so, unless all do. */
function formatBreaker({ state, gateways, liveGateways, untilMs }: BreakerView): string {
  if (state === "unknown") return "no gateway is running";
  const until = untilMs === undefined ? "" : ` until ${formatTime(untilMs)}`;
  const share = gateways === liveGateways ? "" : ` (${gateways} of ${liveGateways} gateways)`;
  return `${state.replace("_", "-")}${until}${share}`;
}

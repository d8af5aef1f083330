/**
 * What a client needs to act as an agent, for each upstream: a command for Claude Code, a file for Cursor. Tokens are
 * minted only when asked for, go to a file of mode 0600, and are named here by that file, never printed.
 */
import type { UpstreamView } from "@writ/contract/admin";
import { type AdminSession, dataDirectory, readUrl } from "./admin-session.ts";
import { refused } from "./exit-codes.ts";
import { writeSecretFile } from "./files.ts";
import { DEFAULT_GATEWAY_URL } from "./gateway-client.ts";

export interface ConnectOptions {
  readonly gatewayUrl?: string;
  readonly mint?: boolean;
  readonly tokenFile?: string;
  readonly caveat?: readonly string[];
  readonly expiresIn?: number;
}

export async function connectAgent(session: AdminSession, id: string, options: ConnectOptions): Promise<void> {
  const { client, context, tenant, show } = session;
  if (options.mint !== true && (options.caveat !== undefined || options.expiresIn !== undefined)) {
    throw refused("--caveat and --expires-in belong to a token that is minted: add --mint.");
  }
  const agent = await client.call("agents.get", { params: { tenant, id } });
  const upstreams: UpstreamView[] = [];
  for await (const upstream of client.pages("upstreams.list", { params: { tenant }, query: {} })) {
    if (upstream.status === "active") upstreams.push(upstream);
  }
  const gatewayUrl = readUrl(
    options.gatewayUrl ?? context.environment["WRIT_GATEWAY_URL"] ?? DEFAULT_GATEWAY_URL,
    "--gateway-url",
  );
  let tokenFile = options.tokenFile;
  if (options.mint === true) {
    const minted = await client.call("tokens.mint", {
      params: { tenant },
      body: {
        agent: agent.id,
        label: "writ agent connect",
        ...(options.caveat === undefined ? {} : { caveats: options.caveat }),
        ...(options.expiresIn === undefined ? {} : { expiresInSeconds: options.expiresIn }),
      },
    });
    const path = tokenFile ?? `${dataDirectory(context)}/tokens/${agent.id}`;
    tokenFile = await writeSecretFile(context, path, minted.token);
    const until = new Date(minted.expiresAtMs).toISOString();
    context.note(`Minted a token into ${tokenFile} (mode 0600); it expires ${until}. Its node is ${minted.node}.\n`);
  }
  const servers = upstreams.map(({ name }) => ({ name: `writ-${name}`, url: `${gatewayUrl}/mcp/${name}` }));
  const snippets = {
    agent: agent.name,
    ...(tokenFile === undefined ? {} : { tokenFile }),
    claudeCode: servers.map((server) => claudeCommand(server, tokenFile)),
    cursor: cursorConfig(servers),
  };
  await show(snippets, () => {
    if (servers.length === 0) return "There is no active upstream. Add one with: writ upstream add\n";
    const lines = [
      ...(tokenFile === undefined
        ? ["# Put the agent's token into WRIT_TOKEN first, or add --mint to have one minted into a file."]
        : [`export WRIT_TOKEN="$(cat ${shellWord(tokenFile)})"`]),
      "",
      "# Claude Code",
      ...snippets.claudeCode,
      "",
      "# Cursor: .cursor/mcp.json, started from a shell that has WRIT_TOKEN",
      JSON.stringify(snippets.cursor, undefined, 2),
    ];
    return `${lines.join("\n")}\n`;
  });
}

interface Server {
  readonly name: string;
  readonly url: string;
}

/** The shell puts the token in, so that it is in no history and on no screen. */
export function claudeCommand({ name, url }: Server, tokenFile: string | undefined): string {
  const token = tokenFile === undefined ? "$WRIT_TOKEN" : `$(cat ${shellWord(tokenFile)})`;
  return `claude mcp add --transport http ${name} ${shellWord(url)} --header "Authorization: Bearer ${token}"`;
}

export function cursorConfig(servers: readonly Server[]): { readonly mcpServers: Record<string, unknown> } {
  const entries = servers.map(({ name, url }) => [
    name,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Cursor replaces this by the variable's value.
    { url, headers: { Authorization: "Bearer ${env:WRIT_TOKEN}" } },
  ]);
  return { mcpServers: Object.fromEntries(entries) };
}

/** The text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

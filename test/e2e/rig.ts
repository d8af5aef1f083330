/**
 * One Writ as a process of its own, with the reference server over stdio and over HTTP and an upstream that writes down
 * what reached it. Agents are foreign clients or plain requests over real sockets. Proves nothing itself.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { type AdminClient, createAdminClient } from "@writ/sdk/admin";
import {
  type McpUpstream,
  startMcpUpstream,
  startWrit,
  type WritProcess,
  type WritProcessOptions,
} from "@writ/testkit";

export const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
/** The tenant that a first start makes. */
export const TENANT = "default";
export const EVERYTHING = `${REPOSITORY}node_modules/@modelcontextprotocol/server-everything/dist/index.js`;

/** Tools of all upstreams may be called but one, which so is hidden. */
export const RULES = `version: 1
rules:
  - id: connect
    effect: allow
    match: { action: [mcp.session, tool.list, token.attenuate] }
  - id: tools
    effect: allow
    match: { action: tool.call, tool: ["everything/*", "remote/*", "up/*"] }
  - id: environment
    effect: deny
    match: { action: tool.call, tool: ["everything/get-env", "remote/get-env", "up/die"] }
  - id: no-secrets
    effect: deny
    match: { action: tool.call, tool: ["everything/echo", "remote/echo", "up/echo"] }
    when: { args: { /message: { prefix: secret } } }
`;

export interface Posted {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface LoggedEvent {
  readonly sequence: number;
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly line: string;
}

export interface Rig {
  readonly writ: WritProcess;
  readonly admin: AdminClient;
  /** The upstream `up` of the default tenant. */
  readonly upstream: McpUpstream;
  url(upstream: string): string;
  /** A token of the starter agent, or of another. */
  mint(caveats?: readonly (string | Readonly<Record<string, unknown>>)[], agent?: string): Promise<string>;
  /** One request with exactly this body. */
  post(
    upstream: string,
    token: string | undefined,
    body: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Posted>;
  events(tenant?: string): Promise<readonly LoggedEvent[]>;
  /** Registers and pins `name` as an upstream of a tenant. */
  addUpstream(name: string, url: string, options?: UpstreamOptions): Promise<void>;
  close(): Promise<void>;
}

interface UpstreamOptions {
  readonly tenant?: string;
  readonly isolation?: "shared" | "principal" | "session";
  readonly timeoutMs?: number;
  readonly concurrencyMax?: number;
}

export async function startRig(
  options: Pick<WritProcessOptions, "env" | "databaseUrl" | "databaseBy"> = {},
): Promise<Rig> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const upstream = await startMcpUpstream({ era: "session" });
    closers.push(() => upstream.close());
    const writ = await startWrit({ command: "serve", ...options });
    closers.push(() => writ.dispose());
    const admin = createAdminClient({ url: writ.adminUrl, key: writ.adminKey });
    const rig: Rig = {
      writ,
      admin,
      upstream,
      url: (name) => `${writ.gatewayUrl}/mcp/${name}`,
      async mint(caveats = [], agent = "assistant") {
        const { token } = await admin.call("tokens.mint", { params: { tenant: TENANT }, body: { agent, caveats } });
        return token;
      },
      post: (name, token, body, headers) => postMcp(`${writ.gatewayUrl}/mcp/${name}`, token, { body, headers }),
      async events(tenant = TENANT) {
        const events: LoggedEvent[] = [];
        for await (const item of admin.pages("audit.events", { params: { tenant }, query: { limit: 500 } })) {
          const { event, ...fields } = item.event;
          events.push({ sequence: item.sequence, name: String(event), fields, line: item.text });
        }
        return events;
      },
      async addUpstream(name, url, { tenant = TENANT, ...rest } = {}) {
        const params = { tenant };
        const body = { name, transport: { type: "http", url }, ...rest } as const;
        const { id } = await admin.call("upstreams.create", { params, body });
        await admin.call("upstreams.pin", { params: { tenant, id } });
      },
      close,
    };
    await rig.addUpstream("up", upstream.url);
    await applyRules(admin, TENANT, RULES);
    return rig;
  } catch (error) {
    // What was started is stopped; the failure goes on to the test.
    await close();
    throw error;
  }
}

/** Makes this text the tenant's active rules. */
export async function applyRules(admin: AdminClient, tenant: string, source: string): Promise<void> {
  const params = { tenant };
  let active: string | null = null;
  for await (const version of admin.pages("policy.versions.list", { params, query: {} })) {
    if (version.active) active = version.id;
  }
  const { id } = await admin.call("policy.versions.create", { params, body: { source } });
  await admin.call("policy.versions.activate", { params: { tenant, id }, body: { expectedActive: active } });
}

/** The reference server over HTTP, in a process of its own; `sse` as revision 2024-11-05 has it. */
export async function startEverything(
  transport: "streamableHttp" | "sse" = "streamableHttp",
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const port = await freePort();
  const child: ChildProcess = spawn(process.execPath, [EVERYTHING, transport], {
    env: { PATH: process.env["PATH"] ?? "", PORT: String(port) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  await new Promise<void>((resolve, reject) => {
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (/listening|is running/.test(said)) resolve();
    });
    void exited.then(() => reject(new Error(`the reference server ended: ${said}`)));
  });
  return {
    url: `http://127.0.0.1:${port}/${transport === "sse" ? "sse" : "mcp"}`,
    async close() {
      process.off("exit", end);
      end();
      await exited;
    },
  };
}

/** A port that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new TypeError("the server has no port");
  return address.port;
}

/** A `tools/call` of MCP 2026-07-28: one request, no session. */
export function statelessCall(
  tool: string,
  args: unknown,
  options: { readonly id?: number | string; readonly argumentsText?: string } = {},
): { readonly body: string; readonly headers: Readonly<Record<string, string>> } {
  const meta = JSON.stringify({
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  });
  const text = options.argumentsText ?? JSON.stringify(args);
  return {
    body: `{"jsonrpc":"2.0","id":${JSON.stringify(options.id ?? 1)},"method":"tools/call","params":{"name":${JSON.stringify(tool)},"arguments":${text},"_meta":${meta}}}`,
    headers: { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": tool },
  };
}

/** Posts one message as an MCP client does that takes either kind of answer. */
export async function postMcp(
  url: string,
  token: string | undefined,
  call: { readonly body: string; readonly headers?: Readonly<Record<string, string>> | undefined },
): Promise<{ readonly status: number; readonly headers: Headers; readonly text: string }> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...call.headers,
    },
    body: call.body,
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Asks until the answer is there. Throws after `timeoutMs`. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>, timeoutMs = 20_000): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

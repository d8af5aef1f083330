/**
 * The columns of the doors: a list of 200 tools, an answer of 64 events, HTTP answers of 1 KiB and 1 MiB, and decisions
 * for others, each beside the bare proxy in the same round where the proxy has anything to do. All on Postgres.
 */
import { createAdminClient } from "@writ/sdk/admin";
import type { WritProcess } from "@writ/testkit";
import type { LoadPlan, LoadResult } from "./load.ts";
import { CALL_HEADERS } from "./scenario.ts";

export interface DoorTools {
  readonly bare: { readonly port: number };
  readonly writ: WritProcess;
  readonly upstreamPort: number;
  readonly load: (plan: LoadPlan) => Promise<LoadResult>;
  readonly say: (text: string) => void;
  readonly phases: { readonly warmupMs: number; readonly closedMs: number; readonly rounds: number };
}

interface DoorResult {
  readonly rps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly denied: number;
  readonly errors: number;
  /** The first answer that was neither an allow nor a denial; "" where every one was. */
  readonly firstError: string;
}

export interface DoorColumn {
  readonly name: string;
  readonly connections: number;
  /** Null where a proxy that only passes on has nothing to do. */
  readonly bare: DoorResult | null;
  readonly writ: DoorResult;
  /** Calls a second, Writ's by the bare proxy's. */
  readonly ratio: number | null;
}

/** One request as it is sent to each of the two. */
interface Door {
  readonly name: string;
  readonly connections: number;
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Where the bare proxy finds the same at the upstream. */
  readonly barePath: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly expects: string;
}

const CONNECTIONS = 64;
/** Of answers of a MiB: the bytes of more would only wait in sockets. */
const CONNECTIONS_LARGE = 16;
const META =
  '"_meta":{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}';

const RULES = `version: 1
rules:
  - id: connect
    effect: allow
    match: { action: [mcp.session, tool.list] }
  - id: tools
    effect: allow
    match: { tool: ["big/*", "stream/*"] }
  - id: not-the-last
    effect: deny
    match: { tool: big/tool-199 }
  - id: files
    effect: allow
    match: { upstream: files, method: GET, path: "/**" }
  - id: not-those
    effect: deny
    match: { upstream: files, path: "/secret/**" }
`;

export async function measureDoors(tools: DoorTools): Promise<readonly DoorColumn[]> {
  const doors = await setUpDoors(tools);
  const results = new Map(doors.map((door) => [door, { bare: [] as LoadResult[], writ: [] as LoadResult[] }]));
  const { phases, say } = tools;
  for (let round = 0; round < phases.rounds; round += 1) {
    for (const door of doors) {
      say(`round ${round + 1} of ${phases.rounds}: ${door.name}`);
      const found = results.get(door);
      if (door.barePath !== undefined) {
        found?.bare.push(await tools.load(planFor(tools, door, tools.bare.port, door.barePath)));
      }
      const { port } = new URL(tools.writ.gatewayUrl);
      found?.writ.push(await tools.load(planFor(tools, door, Number(port), door.path)));
    }
  }
  return [...results].map(([{ name, connections }, found]) => {
    const bare = found.bare.length === 0 ? null : middle(found.bare);
    const writ = middle(found.writ);
    return { name, connections, bare, writ, ratio: bare === null ? null : ratio(writ.rps, bare.rps) };
  });
}

function planFor({ phases }: DoorTools, door: Door, port: number, path: string): LoadPlan {
  const { method, headers, body, expects, connections } = door;
  const { warmupMs, closedMs: durationMs } = phases;
  const host = "127.0.0.1";
  return {
    host,
    port,
    path,
    method,
    headers,
    body,
    expects,
    mode: "closed",
    connections,
    rate: 0,
    warmupMs,
    durationMs,
  };
}

/** The one with the middle rate. */
function middle(results: readonly LoadResult[]): DoorResult {
  const found = [...results].sort((a, b) => a.rps - b.rps)[Math.floor(results.length / 2)];
  if (found === undefined) throw new Error("nothing was measured");
  const sum = (pick: (result: LoadResult) => number): number => results.reduce((all, result) => all + pick(result), 0);
  const { rps, p50_ms, p99_ms } = found;
  const firstError = results.find((result) => result.firstError !== "")?.firstError ?? "";
  return { rps, p50_ms, p99_ms, denied: sum(({ denied }) => denied), errors: sum(({ errors }) => errors), firstError };
}

function ratio(value: number, base: number): number {
  return base === 0 ? 0 : Math.round((value / base) * 1000) / 1000;
}

async function setUpDoors({ writ, upstreamPort }: DoorTools): Promise<readonly Door[]> {
  const admin = createAdminClient({ url: writ.adminUrl, key: writ.adminKey, timeoutMs: 30_000 });
  const { id: tenant } = await admin.call("tenants.create", { body: { name: "doors" } });
  const params = { tenant };
  const upstream = `http://127.0.0.1:${upstreamPort}`;
  const limits = { concurrencyMax: 256, timeoutMs: 30_000 } as const;
  for (const name of ["big", "stream"]) {
    const transport = { type: "http", url: `${upstream}/mcp/${name}` } as const;
    const body = { name, transport, isolation: "shared", ...limits } as const;
    const { id } = await admin.call("upstreams.create", { params, body });
    await admin.call("upstreams.pin", { params: { ...params, id } });
  }
  const routes = [{ match: "GET /**", kind: "capability" }] as const;
  const transport = { type: "http_api", url: `${upstream}/files`, routes } as const;
  await admin.call("upstreams.create", { params, body: { name: "files", transport, ...limits } });
  const principal = await admin.call("principals.create", { params, body: { name: "doors-team", type: "team" } });
  const agent = await admin.call("agents.create", { params, body: { name: "doors-agent", principal: principal.id } });
  const version = await admin.call("policy.versions.create", { params, body: { source: RULES } });
  await admin.call("policy.versions.activate", {
    params: { ...params, id: version.id },
    body: { expectedActive: null },
  });
  const budget = {
    scope: "tenant",
    scopeId: "",
    window: "day",
    unit: "calls",
    limit: 1_000_000_000,
    mode: "hard",
  } as const;
  await admin.call("budgets.create", { params, body: budget });
  const { token } = await admin.call("tokens.mint", {
    params,
    body: {
      agent: agent.id,
      caveats: [
        { actions: ["tool.call", "tool.list", "mcp.session", "http.request"] },
        { calls: { limit: 1_000_000_000, window: "day" } },
      ],
    },
  });
  const point = await admin.call("enforcement-points.create", {
    params,
    body: { name: "doors", agents: [agent.id], actions: ["http.request"], upstreams: ["files"] },
  });
  const authorization = `Bearer ${token}`;
  const mcp = (method: string): Record<string, string> => {
    const { "mcp-name": _, ...headers } = CALL_HEADERS;
    return { ...headers, "mcp-method": method, authorization };
  };
  const file = (name: string, size: string, connections: number): Door => {
    const path = `/${size}`;
    return {
      name,
      connections,
      method: "GET",
      path: `/http/files${path}`,
      barePath: `/files${path}`,
      headers: { authorization },
      body: "",
      expects: size === "1k" ? "kkkk" : "mmmm",
    };
  };
  return [
    {
      name: "tools/list of 200",
      connections: CONNECTIONS,
      method: "POST",
      path: "/mcp/big",
      barePath: "/mcp/big",
      headers: mcp("tools/list"),
      body: `{"jsonrpc":"2.0","id":{{n}},"method":"tools/list","params":{${META}}}`,
      expects: '"result"',
    },
    {
      name: "an answer of 64 events",
      connections: CONNECTIONS,
      method: "POST",
      path: "/mcp/stream",
      barePath: "/mcp/stream",
      headers: { ...mcp("tools/call"), "mcp-name": "transfer" },
      body: `{"jsonrpc":"2.0","id":{{n}},"method":"tools/call","params":{"name":"transfer","arguments":{},${META}}}`,
      expects: '"result"',
    },
    file("HTTP, 1 KiB", "1k", CONNECTIONS),
    file("HTTP, 1 MiB", "1m", CONNECTIONS_LARGE),
    {
      name: "AuthZEN evaluation",
      connections: CONNECTIONS,
      method: "POST",
      path: "/access/v1/evaluation",
      barePath: undefined,
      headers: { "content-type": "application/json", authorization },
      body: JSON.stringify({
        subject: { type: "agent", id: agent.id },
        action: { name: "tool.call" },
        resource: { type: "tool", id: "big/transfer" },
        context: { arguments: { account: "DE02120300000000202051", amount: 25 } },
      }),
      expects: '"decision":true',
    },
    {
      name: "auth_request",
      connections: CONNECTIONS,
      method: "GET",
      path: "/auth-request/token/files",
      barePath: undefined,
      headers: {
        authorization,
        "writ-enforcement-point": point.key,
        "x-original-method": "GET",
        "x-original-uri": "/1k",
      },
      body: "",
      expects: "",
    },
  ];
}

/**
 * Many sessions at a time on one gateway, half of them of MCP 2025-11-25 with a stream each, half of them stateless ones
 * that listen; opened, used and closed again and again, or left behind. What the gateway's process takes for them is
 * measured and must not grow. Runs at two sizes: a small one with every change, the full one as a soak.
 */
import http from "node:http";
import { createAdminClient } from "@writ/sdk/admin";
import { startMcpUpstream, startPostgres, startWrit, uniqueDatabaseName } from "@writ/testkit";
import { applyRules, TENANT } from "../e2e/rig.ts";

export interface SessionsSize {
  /** Open at the same time. */
  readonly sessions: number;
  /** How often all of them are opened and closed. */
  readonly rounds: number;
  /** Agents that open more sessions than one may have, so that the number of all is reached where there are enough. */
  readonly greedyAgents: number;
}

export interface SessionsReport {
  /** Resident memory of the gateway's process in MB. */
  readonly before: number;
  readonly rounds: readonly { readonly open: number; readonly closed: number }[];
  readonly manySessions: number;
  /** Sessions that were opened by agents which had too many. */
  readonly opened: number;
}

/** At most 256 agents listen to one upstream, and one that is just gone is waited for for a minute. */
const SESSIONS_PER_UPSTREAM = 60;
/** What one agent may have. */
const SESSIONS_PER_AGENT = 1_000;
/** What it opens besides: enough that the first, of whose order nobody knows, are all pushed out. */
const MORE = 64;
const SESSIONS_MAX = 10_000;
const TRIES_MAX = 20;
/** Opened at a time; a connect that waits for others is no session yet. */
const TOGETHER = 32;
/** Per open session, with its stream and its call; and what an allocator keeps for later, whatever happens. */
const MB_PER_SESSION = 0.15;
const MB_SLACK = 64;

/** The process is given no more heap than this: it collects what can be collected, and ends when what is kept is more. */
const HEAP_MB = 192;

const STATELESS_META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

interface OpenSession {
  /** Makes a call on it. */
  use(): Promise<void>;
  /** As a client does that says goodbye, or as one that is just gone. */
  close(how: "told" | "gone"): Promise<void>;
}

/** Throws when a session cannot be opened or used, or when memory grows. */
export async function proveSessions({ sessions, rounds, greedyAgents }: SessionsSize): Promise<SessionsReport> {
  const closers: (() => Promise<unknown>)[] = [];
  const agent = new http.Agent({ keepAlive: true, maxSockets: 2 * TOGETHER });
  try {
    const postgres = await startPostgres();
    closers.push(() => postgres.stop());
    const databaseUrl = await postgres.createDatabase(uniqueDatabaseName());
    const upstream = await startMcpUpstream({ era: "session" });
    closers.push(() => upstream.close());
    const control = await startWrit({ command: "serve", databaseUrl });
    closers.push(() => control.dispose());
    const gateway = await startWrit({
      command: "gateway",
      databaseUrl,
      masterKey: control.masterKey,
      env: { NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` },
    });
    closers.push(() => gateway.dispose());
    const admin = createAdminClient({ url: control.adminUrl, key: control.adminKey });
    const names = Array.from({ length: Math.ceil(sessions / SESSIONS_PER_UPSTREAM) }, (_, at) => `up-${at}`);
    const params = { tenant: TENANT };
    for (const name of names) {
      const body = { name, transport: { type: "http" as const, url: upstream.url }, concurrencyMax: 200 };
      const { id } = await admin.call("upstreams.create", { params, body });
      await admin.call("upstreams.pin", { params: { ...params, id } });
    }
    const rules = `version: 1
rules:
  - { id: all, effect: allow, match: { action: ["*"], upstream: [${names.join(", ")}] } }
`;
    await applyRules(admin, TENANT, rules);
    const mint = async (name: string): Promise<string> =>
      (await admin.call("tokens.mint", { params, body: { agent: name, caveats: [] } })).token;
    const token = await mint("assistant");
    const urlOf = (at: number): string => `${gateway.gatewayUrl}/mcp/${names[at % names.length]}`;

    const before = await gateway.rssMb();
    const measured: { open: number; closed: number }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const open = await inTurn(sessions, (at) =>
        at % 2 === 0 ? openStateful(agent, urlOf(at), token) : openStateless(agent, urlOf(at), token),
      );
      await inTurn(sessions, (at) => open[at]?.use());
      const openMb = await gateway.rssMb();
      await inTurn(sessions, (at) => open[at]?.close(round % 2 === 0 ? "told" : "gone"));
      measured.push({ open: openMb, closed: await gateway.rssMb() });
    }
    judge(before, sessions, measured);

    const opened: { readonly token: string; readonly id: string }[] = [];
    for (let at = 0; at < greedyAgents; at += 1) {
      const name = `greedy-${at}`;
      await makeAgent(admin, name);
      const own = await mint(name);
      const ids = await inTurn(SESSIONS_PER_AGENT + MORE, () => initialize(agent, urlOf(0), own));
      opened.push(...ids.map((id) => ({ token: own, id })));
    }
    const manySessions = await gateway.rssMb();
    await checkPushedOut(agent, urlOf(0), opened);
    const bound = before + SESSIONS_MAX * 0.02 + MB_SLACK + sessions * MB_PER_SESSION;
    if (manySessions > bound) throw new Error(`${opened.length} sessions take ${manySessions} MB, above ${bound} MB`);
    return { before, rounds: measured, manySessions, opened: opened.length };
  } finally {
    agent.destroy();
    for (const closer of closers.reverse()) await closer();
  }
}

function judge(before: number, sessions: number, rounds: readonly { open: number; closed: number }[]): void {
  const bound = before + MB_SLACK + sessions * MB_PER_SESSION;
  const told = JSON.stringify({ before, rounds, bound });
  if (rounds.some(({ open }) => open > bound)) throw new Error(`open sessions take more than is thought of: ${told}`);
  const half = Math.ceil(rounds.length / 2);
  const [early, late] = [rounds.slice(0, half), rounds.slice(half)].map((part) =>
    Math.max(...part.map((r) => r.closed)),
  );
  if (early === undefined || late === undefined || late > early + MB_SLACK / 2)
    throw new Error(`memory grows: ${told}`);
}

/** The oldest of an agent's sessions are gone, the newest are there, and both say so. */
async function checkPushedOut(
  agent: http.Agent,
  url: string,
  opened: readonly { readonly token: string; readonly id: string }[],
): Promise<void> {
  const pinged = async (of: { readonly token: string; readonly id: string } | undefined): Promise<number> => {
    if (of === undefined) return 200;
    const headers = { "mcp-session-id": of.id, "mcp-protocol-version": "2025-11-25" };
    return (await post(agent, url, of.token, '{"jsonrpc":"2.0","id":1,"method":"ping"}', headers)).status;
  };
  const statuses = [await pinged(opened.at(-1)), await pinged(opened.at(-SESSIONS_PER_AGENT + TOGETHER))];
  if (statuses.some((status) => status !== 200)) throw new Error(`the newest sessions are gone: ${statuses.join()}`);
  if (opened.length > 0 && (await pinged(opened[0])) !== 404) throw new Error("the oldest session was kept");
}

/** Calls `make` for 0 … count − 1, some at a time. */
async function inTurn<T>(count: number, make: (at: number) => Promise<T> | undefined): Promise<readonly T[]> {
  const made: T[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) {
      const one = await make(at);
      if (one !== undefined) made[at] = one;
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
  return made;
}

async function initialize(agent: http.Agent, url: string, token: string): Promise<string> {
  const body =
    '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"many","version":"1"}}}';
  const answer = await post(agent, url, token, body, {});
  const id = answer.headers["mcp-session-id"];
  if (typeof id !== "string") throw new Error(`no session: ${answer.status} ${answer.text}`);
  return id;
}

async function openStateful(agent: http.Agent, url: string, token: string): Promise<OpenSession> {
  const headers = { "mcp-session-id": await initialize(agent, url, token), "mcp-protocol-version": "2025-11-25" };
  const streamHeaders = { ...headers, ...bearer(token), accept: "text/event-stream" };
  const stream = await openStream(http.request(url, { method: "GET", headers: streamHeaders }), "");
  return {
    async use() {
      const body =
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"m"}}}';
      await expectEcho(() => post(agent, url, token, body, headers));
    },
    async close(how) {
      if (how === "told") {
        const { status } = await send(
          http.request(url, { agent, method: "DELETE", headers: { ...headers, ...bearer(token) } }),
          "",
        );
        if (status !== 204) throw new Error(`a session did not end: ${status}`);
      }
      await stream.close();
    },
  };
}

async function openStateless(agent: http.Agent, url: string, token: string): Promise<OpenSession> {
  const listen = `{"jsonrpc":"2.0","id":0,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},${STATELESS_META}}}`;
  const headers = { ...jsonHeaders(token), ...statelessHeaders("subscriptions/listen") };
  const stream = await openStream(http.request(url, { method: "POST", headers }), listen);
  return {
    async use() {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"m"},${STATELESS_META}}}`;
      const named = { ...statelessHeaders("tools/call"), "mcp-name": "echo" };
      await expectEcho(() => post(agent, url, token, body, named));
    },
    close: () => stream.close(),
  };
}

/** Makes a call; again where the gateway asks for that, because on a busy machine a call may not go out in time. */
async function expectEcho(call: () => Promise<Answer>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const { status, text } = await call();
    if (status === 200 && text.includes('"text":"m"')) return;
    const isAskedAgain = text.includes("gateway_overloaded") && tries < TRIES_MAX;
    if (!isAskedAgain) throw new Error(`a call was not answered: ${status} ${text}`);
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const jsonHeaders = (token: string) => ({
  ...bearer(token),
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
});
const statelessHeaders = (method: string) => ({ "mcp-protocol-version": "2026-07-28", "mcp-method": method });

function post(
  agent: http.Agent,
  url: string,
  token: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  return send(http.request(url, { agent, method: "POST", headers: { ...jsonHeaders(token), ...headers } }), body);
}

function send(request: http.ClientRequest, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.once("error", reject);
    request.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.once("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.once("error", reject);
    });
    request.end(body);
  });
}

/** A request whose answer is a stream that has begun; a connection of its own. */
function openStream(request: http.ClientRequest, body: string): Promise<{ close(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    request.once("error", reject);
    request.once("response", (response) => {
      if (response.statusCode !== 200) return reject(new Error(`no stream: ${response.statusCode}`));
      response.resume();
      // It may end from either side.
      request.on("error", () => undefined);
      response.on("error", () => undefined);
      const ended = new Promise<void>((end) => response.once("close", end));
      resolve({
        close() {
          request.destroy();
          return ended;
        },
      });
    });
    request.end(body);
  });
}

async function makeAgent(admin: ReturnType<typeof createAdminClient>, name: string): Promise<void> {
  const params = { tenant: TENANT };
  for await (const { name: known, principalId } of admin.pages("agents.list", { params, query: {} })) {
    if (known !== "assistant") continue;
    await admin.call("agents.create", { params, body: { name, principal: principalId } });
  }
}

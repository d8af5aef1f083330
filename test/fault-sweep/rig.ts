/**
 * A gateway's core put together as compose does, each time anew, with every port behind a fault injector, on a real
 * database and against a real upstream. Proves nothing itself.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { ANONYMOUS, makeUuidv7, parseStrictJsonText } from "@writ/contract";
import { createControl } from "@writ/control";
import { type Database, DatabaseError, openPostgres, type Queryable } from "@writ/db";
import { createGateway } from "@writ/gateway";
import { createLogger, createSystemRandom, type Keyring, openKeyring, systemClock } from "@writ/runtime";
import { type AdminClient, createAdminClient } from "@writ/sdk/admin";
import { freshDatabase, freshPglite, sharedPostgres, startMcpUpstream } from "@writ/testkit";
import { makeTokenHash } from "@writ/token";
import { createPublicDoor } from "../../packages/gateway/src/admit-public.ts";
import { createAuthenticator } from "../../packages/gateway/src/authenticate.ts";
import { createStateOptions } from "../../packages/gateway/src/compile-policy.ts";
import { createCounterReadings } from "../../packages/gateway/src/counter-readings.ts";
import { createDelegations } from "../../packages/gateway/src/delegations.ts";
import { createDenialLimit } from "../../packages/gateway/src/denial-limit.ts";
import type { CallSink, Gate } from "../../packages/gateway/src/gate.ts";
import { handleCall } from "../../packages/gateway/src/handle-call.ts";
import { createInputStates } from "../../packages/gateway/src/input-state.ts";
import { createJournal, type Journal } from "../../packages/gateway/src/journal/journal.ts";
import { createJudge } from "../../packages/gateway/src/judge-call.ts";
import { createOpenCalls } from "../../packages/gateway/src/open-calls.ts";
import {
  type AgentCall,
  Failure,
  type HttpSink,
  type Slot,
  type UpstreamPort,
} from "../../packages/gateway/src/ports.ts";
import { createCallRates } from "../../packages/gateway/src/rates/call-rates.ts";
import { createRemainingBudgets } from "../../packages/gateway/src/remaining-budgets.ts";
import { sha256 } from "../../packages/gateway/src/sha256.ts";
import { createAuthorityStates } from "../../packages/gateway/src/state/authority-states.ts";
import { createAuthorityStore } from "../../packages/gateway/src/state/authority-store.ts";
import { createHistoryStores, type HistoryStores } from "../../packages/gateway/src/store/history-store.ts";
import { createCredentialFiles } from "../../packages/gateway/src/upstream/credential-files.ts";
import { createUpstreams } from "../../packages/gateway/src/upstream/upstreams.ts";
import type { Injector } from "./fault-injector.ts";

const RULES = `version: 1
rules:
  - id: connect
    effect: allow
    match: { action: [mcp.session, tool.list, token.attenuate] }
  - id: tools
    effect: allow
    match: { action: tool.call, tool: ["up/*"] }
  - id: shop
    effect: allow
    match: { upstream: shop, method: POST, path: /orders }
  - id: closed
    effect: deny
    match: { action: tool.call, tool: "up/add" }
  - id: open
    effect: allow
    match: { agent: anonymous, upstream: api, method: POST, path: /open }
`;
const AUDIENCE = "https://gateway.test";
const CALLS_MAX = 1_000_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export interface World {
  readonly engine: "pglite" | "postgres";
  readonly tenantId: string;
  readonly token: string;
  readonly agentId: string;
  /** Past row-level security. */
  readonly owner: Database;
  /** How many calls have reached an upstream. */
  readonly forwarded: () => number;
  /** Moves the tenant's authority by one revision that changes nothing for the agent. */
  moveAuthority(): Promise<void>;
  /** A gateway core of its own life on this world. */
  makeCore(injector: Injector): Promise<Core>;
  close(): Promise<void>;
}

export interface Core {
  readonly gate: Omit<Gate, "authenticatePoint" | "assertSubject" | "preview">;
  readonly journal: Journal;
  /** What the gateway did without evidence; empty. */
  readonly problems: readonly string[];
  wrapSink(sink: CallSink): CallSink;
  wrapHttpSink(sink: HttpSink): HttpSink;
  /** Reads authority, so that no fault meets the first reading. */
  warm(): Promise<void>;
  /** Ends the gateway's lease and has another one end its calls as unknown. */
  lapse(): Promise<void>;
  close(): Promise<void>;
}

export async function openWorld(engine: "pglite" | "postgres"): Promise<World> {
  const closers: (() => Promise<unknown> | undefined)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const upstream = await startMcpUpstream({ era: "stateless" });
    closers.push(() => upstream.close());
    const databases = await openAll(engine, closers);
    const directory = await mkdtemp(join(tmpdir(), "writ-sweep-"));
    closers.push(() => rm(directory, { recursive: true, force: true }));
    const keyring = openKeyring(randomBytes(32));
    const log = createLogger({ level: "info", write() {} });
    const { admin, stop } = await startPlanes({ databases, directory, keyring, log });
    closers.push(stop);
    const api = await startApi();
    closers.push(() => api.close());
    const { tenantId, token, agentId } = await setUp(admin, upstream.url, api.url);
    const upstreams = createUpstreams({
      clock: systemClock,
      random: createSystemRandom(),
      mode: "development",
      stdioRunner: [],
      environmentFile: "",
      allowedAddresses: ["127.0.0.0/8"],
      credentialFiles: createCredentialFiles({ directory: undefined, clock: systemClock }),
      childEnvironment: { path: "", home: "" },
      openEnvironment: () => ({}),
      callDeadlineMs: 10_000,
      log() {},
      version: "0",
    });
    closers.push(() => upstreams.close());
    let moved = 0;
    return {
      engine,
      tenantId,
      token,
      agentId,
      owner: databases.owner,
      forwarded: () => upstream.calls.length + api.received(),
      async moveAuthority() {
        moved += 1;
        await admin.call("principals.create", {
          params: { tenant: tenantId },
          body: { name: `p${moved}`, type: "team" },
        });
      },
      makeCore: (injector) => makeCore({ injector, databases, keyring, tenantId, token, upstreams }),
      close,
    };
  } catch (error) {
    // What was started is stopped; the failure goes on to the test.
    await close();
    throw error;
  }
}

interface Databases {
  readonly journal: Database;
  readonly gateway: Database;
  readonly control: Database;
  readonly owner: Database;
}

async function openAll(
  engine: "pglite" | "postgres",
  closers: (() => Promise<unknown> | undefined)[],
): Promise<Databases> {
  if (engine === "pglite") {
    const { handle, remove } = await freshPglite();
    closers.push(remove);
    return {
      journal: handle.as("gateway", { queue: "journal" }),
      gateway: handle.as("gateway"),
      control: handle.as("control"),
      owner: handle.as("migrate"),
    };
  }
  const url = await freshDatabase(await sharedPostgres());
  const open = (role: "gateway" | "control" | "migrate", poolMax: number): Database => {
    const db = openPostgres({ url, role, poolMax, applicationName: "test" });
    closers.push(() => db.close());
    return db;
  };
  return {
    journal: open("gateway", 2),
    gateway: open("gateway", 2),
    control: open("control", 2),
    owner: open("migrate", 1),
  };
}

async function startPlanes(parts: {
  databases: Databases;
  directory: string;
  keyring: Keyring;
  log: ReturnType<typeof createLogger>;
}): Promise<{ admin: AdminClient; stop: () => Promise<void> }> {
  const { databases, directory, keyring, log } = parts;
  const control = await createControl({
    db: databases.control,
    keyring,
    clock: systemClock,
    random: createSystemRandom(),
    log,
    config: {
      mode: "development",
      control: { host: "127.0.0.1", port: 0, publicUrl: "http://127.0.0.1", allowedHosts: ["127.0.0.1"] },
      gateway: { audience: AUDIENCE },
      checkpoints: { file: join(directory, "checkpoints.txt"), intervalSeconds: 3_600 },
      keys: { masterKeyFile: undefined, masterKey: undefined, checkpointKeyFile: join(directory, "checkpoint.key") },
    },
  });
  const { adminKey } = await control.bootstrap({});
  const { port } = await control.listen();
  // Once, so that the upstream's catalogue is seen and can be pinned.
  const gateway = createGateway({
    db: databases.gateway,
    journalDb: databases.journal,
    keyring,
    audience: AUDIENCE,
    version: "0",
    dangerous: [],
    addressRequestsPerMinute: undefined,
    clock: systemClock,
    random: createSystemRandom(),
    log,
    callDeadlineMs: 10_000,
    resumeWithinMs: 30_000,
    tellsBudgets: false,
    catalogueIntervalMs: 300_000,
    stdioRunner: [],
    environmentFile: "",
    allowedAddresses: ["127.0.0.0/8"],
    credentialsDir: undefined,
    childEnvironment: { path: "", home: "" },
    mode: "development",
    host: "127.0.0.1",
    allowedHosts: ["127.0.0.1"],
    allowedOrigins: [],
    publicUrl: () => AUDIENCE,
  });
  await gateway.start();
  return {
    admin: createAdminClient({ url: `http://127.0.0.1:${port}`, key: adminKey ?? "" }),
    async stop() {
      await gateway.close();
      await control.close();
    },
  };
}

/** An HTTP API that counts what reaches it. */
async function startApi(): Promise<{ url: string; received(): number; close(): Promise<void> }> {
  let received = 0;
  const server = createServer((request, response) => {
    received += 1;
    request.resume().on("end", () => response.writeHead(201, { "content-type": "application/json" }).end("{}"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP listener's address is this
  return {
    url: `http://127.0.0.1:${port}`,
    received: () => received,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function setUp(
  admin: AdminClient,
  upstreamUrl: string,
  apiUrl: string,
): Promise<{ tenantId: string; token: string; agentId: string }> {
  const { id: tenantId } = await admin.call("tenants.create", { body: { name: "sweep" } });
  const params = { tenant: tenantId };
  const principal = await admin.call("principals.create", { params, body: { name: "team", type: "team" } });
  const { id } = await admin.call("upstreams.create", {
    params,
    body: { name: "up", transport: { type: "http", url: upstreamUrl }, isolation: "shared", concurrencyMax: 8 },
  });
  await admin.call("upstreams.pin", { params: { tenant: tenantId, id } });
  const routes = [{ match: "POST /orders", kind: "capability" }] as const;
  await admin.call("upstreams.create", {
    params,
    body: { name: "shop", transport: { type: "http_api", url: apiUrl, routes }, concurrencyMax: 8 },
  });
  await admin.call("upstreams.create", {
    params,
    body: {
      name: "api",
      transport: { type: "http_api", url: apiUrl, routes: [{ match: "POST /open", kind: "public" }] },
      concurrencyMax: 8,
    },
  });
  await admin.call("budgets.create", {
    params,
    body: { scope: "upstream", scopeId: "api", unit: "calls", window: "total", limit: CALLS_MAX, mode: "hard" },
  });
  const version = await admin.call("policy.versions.create", { params, body: { source: RULES, skipTests: true } });
  await admin.call("policy.versions.activate", {
    params: { tenant: tenantId, id: version.id },
    body: { expectedActive: null },
  });
  const agent = await admin.call("agents.create", { params, body: { name: "agent", principal: principal.id } });
  const { token } = await admin.call("tokens.mint", {
    params,
    body: { agent: "agent", caveats: [{ calls: { limit: CALLS_MAX, window: "total" } }] },
  });
  return { tenantId, token, agentId: agent.id };
}

async function makeCore(parts: {
  injector: Injector;
  databases: Databases;
  keyring: Keyring;
  tenantId: string;
  token: string;
  upstreams: UpstreamPort;
}): Promise<Core> {
  const { injector, databases, keyring, tenantId, token } = parts;
  const problems: string[] = [];
  const stateFailure = (): Error => new Failure("state_unavailable", "broken on purpose");
  const journalFailure = (): Error => new Failure("journal_unavailable", "broken on purpose");
  const upstreamFailure = (): Error => new Failure("upstream_unavailable", "broken on purpose");
  const clockFailure = (): Error => new RangeError("broken on purpose");
  const databaseFailure = (commitUnknown: boolean): Error =>
    new DatabaseError(commitUnknown ? "08006" : "53300", "broken on purpose", { commitUnknown });

  const clock = injector.wrap("Clock", systemClock, {
    sync: ["nowMs", "monotonicMs"],
    async: [],
    failure: clockFailure,
  });
  const random = injector.wrap("Random", createSystemRandom(), { sync: ["bytes"], async: [], failure: clockFailure });
  const faultyDatabase = (name: string, db: Database): Database => {
    const spec = { sync: [], async: ["query", "transaction"], failure: databaseFailure };
    const inside = (queryable: Queryable): Queryable => injector.wrap(`${name} transaction`, queryable, spec);
    const wrapped = injector.wrap(name, db, spec);
    return new Proxy(wrapped, {
      get(target, property) {
        if (property !== "transaction") return Reflect.get(target, property);
        const transaction: Database["transaction"] = (options, work) =>
          target.transaction(options, (queryable) => work(inside(queryable)));
        return transaction;
      },
    });
  };
  const gatewayDb = faultyDatabase("Database", databases.gateway);
  const journalDb = faultyDatabase("Database (journal)", databases.journal);

  const gatewayId = makeUuidv7(systemClock.nowMs(), randomBytes(10));
  const ownStates = createAuthorityStates({
    store: createAuthorityStore(gatewayDb, createStateOptions()),
    clock: systemClock,
    log: quiet,
    pollMs: 3_600_000,
    narrowed() {},
    unfollowed() {},
    changed() {},
  });
  const states = injector.wrap("StatePort", ownStates, {
    sync: ["current"],
    async: ["load", "catchUp"],
    failure: stateFailure,
  });
  const history = createHistoryStores({
    db: journalDb,
    gatewayId,
    clock: systemClock,
    random,
    states: ownStates,
    log: quiet,
  });
  const plainHistory: HistoryStores = createHistoryStores({
    db: databases.journal,
    gatewayId,
    clock: systemClock,
    random: createSystemRandom(),
    states: ownStates,
    log: quiet,
  });
  await plainHistory.leases.renew(gatewayId, 3_600_000);
  const ownJournal = createJournal({
    store: injector.wrap("BatchStore", history.batches, {
      sync: [],
      async: ["commit", "commitUnderLock", "resolve"],
      failure: databaseFailure,
    }),
    clock,
    random,
    log: quiet,
    revisionOf: (tenant) => states.current(tenant)?.revision,
    catchUp: (tenant) => states.catchUp(tenant, AbortSignal.timeout(5_000)),
    seal: () => undefined,
  });
  const journal = injector.wrap("JournalPort", ownJournal, {
    sync: ["settle", "record"],
    async: ["commit"],
    failure: journalFailure,
  });

  async function allowsOpen(): Promise<number> {
    const rows = await databases.owner.transaction({ tenants: [tenantId], readOnly: true }, (q) =>
      q.query("SELECT call_id FROM open_call WHERE tenant_id = $1::uuid AND gateway_id = $2::uuid AND state = 'open'", [
        tenantId,
        gatewayId,
      ]),
    );
    return rows.length;
  }

  const upstreams = injector.wrap<UpstreamPort>(
    "UpstreamPort",
    {
      capabilities: (request) => parts.upstreams.capabilities(request),
      async hold(request) {
        const slot = await parts.upstreams.hold(request);
        const faulty = injector.wrap<Slot>("Slot", slot, {
          sync: [],
          async: ["send", "sendHttp"],
          failure: upstreamFailure,
        });
        return {
          release: () => slot.release(),
          async send(message, sink, signal) {
            if ((await allowsOpen()) === 0) problems.push("sent without a committed allow");
            return faulty.send(message, sink, signal);
          },
          async sendHttp(call, sink, signal) {
            if ((await allowsOpen()) === 0) problems.push("sent without a committed allow");
            return faulty.sendHttp(call, sink, signal);
          },
        };
      },
    },
    { sync: [], async: ["hold", "capabilities"], failure: upstreamFailure },
  );
  const tokenHash = makeTokenHash(sha256);
  const authenticator = createAuthenticator({
    clock: systemClock,
    state: states,
    hash: tokenHash,
    unwrapRootKey: (tenant, id, wrapped) => keyring.unwrap({ tenantId: tenant, kind: "root_key", id }, wrapped),
    rejected() {},
  });
  const { tokenOf } = authenticator;
  const publicDoor = createPublicDoor({ clock: systemClock, state: states, rejected() {} });
  const children = injector.wrap("ChildStore", history.children, {
    sync: [],
    async: ["record"],
    failure: journalFailure,
  });
  const deps = {
    clock,
    random,
    state: states,
    journal,
    upstreams,
    judge: createJudge({
      state: states,
      clock,
      random,
      audience: AUDIENCE,
      gatewayId,
      tellsBudgets: false,
      presenterOf: (who) => (who.tokenDigest === ANONYMOUS ? publicDoor.subjectOf(who) : tokenOf(who)),
    }),
    openCalls: createOpenCalls(),
    denials: createDenialLimit(),
    rates: createCallRates({ liveGateways: () => 1 }),
    delegations: createDelegations({
      clock,
      random,
      state: states,
      hash: tokenHash,
      children,
      record: journal.record,
      tokenOf,
    }),
    inputStates: createInputStates({ clock, keyOf: keyring.inputStateKey }),
    gatewayId,
    log: quiet,
    closedReason: () => undefined,
  };
  return {
    gate: {
      authenticate: authenticator.authenticate,
      admitPublic: publicDoor.admit,
      reachable: async (authenticated) => deps.judge.reachable(authenticated),
      remainingBudgets: createRemainingBudgets({
        clock,
        state: states,
        counters: createCounterReadings({ clock, store: history.counters }),
        tokenOf,
        rejected: () => undefined,
      }),
      handleCall: (authenticated, call, sink, cut) => handleCall(deps, authenticated, call, sink, cut),
    },
    journal: ownJournal,
    problems,
    wrapSink: (sink) =>
      injector.wrap("CallSink", sink, {
        sync: ["allowed"],
        async: ["local", "response", "notification"],
        failure: clockFailure,
      }),
    wrapHttpSink: (sink) => injector.wrap("HttpSink", sink, { sync: ["head"], async: ["data"], failure: clockFailure }),
    async warm() {
      const authenticated = await authenticator.authenticate({ authorization: `Bearer ${token}`, remoteAddress: "" });
      if (authenticated.kind !== "authenticated") throw new Error(`the token is refused: ${authenticated.reason}`);
    },
    async lapse() {
      await plainHistory.leases.end(gatewayId);
      await plainHistory.leases.lapse();
    },
    async close() {
      ownJournal.close();
      await plainHistory.leases.end(gatewayId);
    },
  };
}

/** A call of one tool with these arguments, as the MCP adapter reads it. */
export function toolCall(tool: string, argumentsText: string): AgentCall {
  const parsed = parseStrictJsonText(argumentsText);
  if (parsed.kind === "fault" || typeof parsed.value !== "object" || parsed.value === null) {
    throw new TypeError("the arguments of a test are an object");
  }
  return {
    protocol: "mcp",
    action: "tool.call",
    upstream: "up",
    tool,
    arguments: parsed.value as AgentCall["arguments"], // an object by the literal that the test gave
    argumentsText,
    message: {
      method: "tools/call",
      params: `{"name":${JSON.stringify(tool)},"arguments":${argumentsText}}`,
      progress: false,
      name: tool,
    },
    child: undefined,
    mcpSession: undefined,
  };
}

/** A request of the HTTP API under an idempotency key, as the HTTP adapter reads it. */
export function httpCall(idempotencyKey: string): AgentCall {
  const text = '{"amount":1}';
  return {
    ...localCall("tool.list"),
    protocol: "http",
    action: "http.request",
    upstream: "shop",
    argumentsText: text,
    http: {
      target: { method: "POST", path: "/orders", query: "" },
      headers: ["content-type", "application/json"],
      body: { kind: "bytes", bytes: new TextEncoder().encode(text) },
    },
    idempotencyKey,
  };
}

/** A question whether a tool may be called, as the decision API reads it. */
export function question(subject: string): AgentCall {
  const { message: _, ...rest } = toolCall("echo", '{"message":"would it"}');
  return { ...rest, protocol: "decision", message: undefined, subject };
}

/** A request of the public route, with a body that is passed on as a stream. */
export function publicRequest(text: string): AgentCall {
  return {
    protocol: "http",
    action: "http.request",
    upstream: "api",
    tool: "",
    http: {
      target: { method: "POST", path: "/open", query: "" },
      headers: ["content-type", "text/plain"],
      body: { kind: "stream", stream: Readable.from([Buffer.from(text)]) },
    },
    arguments: Object.create(null) as AgentCall["arguments"], // nobody has read any
    argumentsUnseen: true,
    argumentsText: "",
    message: undefined,
    child: undefined,
    mcpSession: undefined,
  };
}

/** An action that Writ answers by itself. */
export function localCall(action: "tool.list" | "mcp.session"): AgentCall {
  return {
    protocol: "mcp",
    action,
    upstream: "up",
    tool: "",
    arguments: Object.create(null) as AgentCall["arguments"], // an object without members
    argumentsText: "",
    message: undefined,
    child: undefined,
    mcpSession: undefined,
  };
}

/** The recording of a child with a tool, and a call set aside for it. */
export function delegation(parentText: string): AgentCall {
  return {
    protocol: "api",
    action: "token.attenuate",
    upstream: "",
    tool: "",
    arguments: Object.create(null) as AgentCall["arguments"], // an object without members
    argumentsText: "{}",
    message: undefined,
    child: {
      parentText,
      caveats: ['{"tools":["up/echo"]}'],
      carves: [{ unit: "calls", window: "total", amount: 1 }],
      agentId: undefined,
    },
    mcpSession: undefined,
  };
}

/**
 * One Postgres, one control plane and two gateways as processes of their own, with an upstream that writes down what
 * reached it and when. The second gateway reaches the database through a proxy that can swallow its packets. Proves
 * nothing itself.
 */
import { type Database, openPostgres } from "@writ/db";
import { type AdminClient, createAdminClient } from "@writ/sdk/admin";
import {
  type McpUpstream,
  type PostgresServer,
  startMcpUpstream,
  startPostgres,
  startTcpProxy,
  startWrit,
  type TcpProxy,
  uniqueDatabaseName,
  type WritProcess,
} from "@writ/testkit";
import { createMcpClient, type McpClient } from "./mcp-client.ts";

/** Tools of the upstream may be called, children recorded; nothing else is allowed. */
const OPEN_RULES = `version: 1
rules:
  - id: connect
    effect: allow
    match: { action: [mcp.session, tool.list] }
  - id: tools
    effect: allow
    match: { action: tool.call, tool: ["up/*"] }
  - id: delegation
    effect: allow
    match: { action: token.attenuate }
`;

/** The same with one more rule, which denies what the others allow. */
const CLOSED_RULES = `${OPEN_RULES}  - id: closed
    effect: deny
    match: { action: tool.call, tool: ["up/*"] }
`;

/** Name of the upstream in every tenant. */
export const UPSTREAM = "up";

export interface LoggedEvent {
  readonly sequence: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Tenant {
  readonly id: string;
  readonly principalId: string;
  /** A new agent of the tenant's principal, or of another. */
  makeAgent(name: string, principal?: string): Promise<string>;
  mint(agent: string, caveats?: readonly Readonly<Record<string, unknown>>[]): Promise<{ token: string; node: string }>;
  /** The stored versions of `OPEN_RULES` and `CLOSED_RULES`; the first is active. */
  readonly policies: { readonly open: string; readonly closed: string };
  events(afterSequence: number): Promise<readonly LoggedEvent[]>;
  sequence(): Promise<number>;
}

export interface Fleet {
  readonly admin: AdminClient;
  readonly client: McpClient;
  readonly gateways: readonly [WritProcess, WritProcess];
  readonly gatewayUrls: readonly [string, string];
  readonly upstream: McpUpstream;
  /** Between the second gateway and Postgres. */
  readonly proxy: TcpProxy;
  /** As the superuser, past row-level security. */
  readonly database: Database;
  readonly databaseUrl: string;
  /** When the upstream received the call with this message, on the monotonic clock; undefined when it did not. */
  receivedAtMs(message: string): number | undefined;
  makeTenant(name: string): Promise<Tenant>;
  close(): Promise<void>;
}

const CONCURRENCY_MAX = 500;

export async function startFleet(): Promise<Fleet> {
  const closers: (() => Promise<unknown> | undefined)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const postgres: PostgresServer = await startPostgres();
    closers.push(() => postgres.stop());
    const name = uniqueDatabaseName();
    const databaseUrl = await postgres.createDatabase(name);
    const proxy = await startTcpProxy(postgres.port);
    closers.push(() => proxy.close());
    const received = new Map<string, number>();
    const upstream = await startMcpUpstream({
      era: "stateless",
      onCall(call) {
        // The body of a call of this test's own client.
        const { params } = JSON.parse(call.text) as { params: { arguments: { message?: string } } };
        if (params.arguments.message !== undefined) received.set(params.arguments.message, performance.now());
      },
    });
    closers.push(() => upstream.close());
    const start = async (options: Parameters<typeof startWrit>[0]): Promise<WritProcess> => {
      const writ = await startWrit(options);
      closers.push(() => writ.dispose());
      return writ;
    };
    const control = await start({ command: "control", databaseUrl });
    const { masterKey } = control;
    const gateways = [
      await start({ command: "gateway", databaseUrl, masterKey }),
      await start({ command: "gateway", databaseUrl: proxy.url(databaseUrl), masterKey }),
    ] as const;
    const database = openPostgres({ url: databaseUrl, role: "migrate", poolMax: 2, applicationName: "test" });
    closers.push(() => database.close());
    const client = createMcpClient();
    closers.push(async () => client.close());
    const admin = createAdminClient({ url: control.adminUrl, key: control.adminKey });
    return {
      admin,
      client,
      gateways,
      gatewayUrls: [gateways[0].gatewayUrl, gateways[1].gatewayUrl],
      upstream,
      proxy,
      database,
      databaseUrl,
      receivedAtMs: (message) => received.get(message),
      makeTenant: (tenantName) => makeTenant({ admin, database, upstreamUrl: upstream.url }, tenantName),
      close,
    };
  } catch (error) {
    // What was started is stopped; the failure goes on to the test.
    await close();
    throw error;
  }
}

async function makeTenant(
  parts: { readonly admin: AdminClient; readonly database: Database; readonly upstreamUrl: string },
  name: string,
): Promise<Tenant> {
  const { admin, database } = parts;
  const { id: tenant } = await admin.call("tenants.create", { body: { name } });
  const params = { tenant };
  const principal = await admin.call("principals.create", { params, body: { name: "team", type: "team" } });
  const upstream = await admin.call("upstreams.create", {
    params,
    body: {
      name: UPSTREAM,
      transport: { type: "http", url: parts.upstreamUrl },
      isolation: "shared",
      concurrencyMax: CONCURRENCY_MAX,
    },
  });
  await admin.call("upstreams.pin", { params: { tenant, id: upstream.id } });
  const store = async (source: string): Promise<string> =>
    (await admin.call("policy.versions.create", { params, body: { source, skipTests: true } })).id;
  const policies = { open: await store(OPEN_RULES), closed: await store(CLOSED_RULES) };
  await admin.call("policy.versions.activate", {
    params: { tenant, id: policies.open },
    body: { expectedActive: null },
  });
  return {
    id: tenant,
    principalId: principal.id,
    policies,
    makeAgent: async (agent, principalId = principal.id) =>
      (await admin.call("agents.create", { params, body: { name: agent, principal: principalId } })).id,
    async mint(agent, caveats = []) {
      const { token, node } = await admin.call("tokens.mint", { params, body: { agent, caveats } });
      return { token, node };
    },
    async events(afterSequence) {
      const rows = await database.query<{ sequence: number; event: string }>(
        "SELECT sequence, event FROM audit_event WHERE tenant_id = $1 AND sequence > $2 ORDER BY sequence",
        [tenant, afterSequence],
      );
      return rows.map((row) => {
        // An event of ours, in the shape that the format of the log fixes.
        const { event, ...fields } = JSON.parse(row.event) as { event: string };
        return { sequence: row.sequence, event, fields };
      });
    },
    async sequence() {
      const rows = await database.query<{ sequence: number }>("SELECT sequence FROM tenant_head WHERE tenant_id = $1", [
        tenant,
      ]);
      return rows[0]?.sequence ?? 0;
    },
  };
}

/** Waits until every allow of the tenant's log has its outcome. */
export async function settled(tenant: Tenant): Promise<void> {
  await until("every allow has an outcome", async () => {
    const open = new Set<unknown>();
    for (const { event, fields } of await tenant.events(0)) {
      if (event === "call.decided" && fields["decision"] === "allow") open.add(fields["callId"]);
      else if (/^call\.(?:completed|failed|aborted|unknown)$/.test(event)) open.delete(fields["callId"]);
    }
    return open.size === 0;
  });
}

/** Asks until the answer is true. Throws after `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * What a first start makes, and what every later start finds: the instance with an admin key; and in development the
 * tenant `default` with a principal, an agent, an upstream, rules, a root key and a token. Each of the two is one
 * transaction, and its secret is on disk before it commits: a start that is cut at any moment leaves a file that
 * the next start overwrites, or everything.
 */
import { INSTANCE_TENANT, type Upstream, type UpstreamTransport } from "@writ/contract";
import { parseAdminKey } from "@writ/runtime";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { countTools } from "../queries/count-tools.ts";
import { selectIdOf, selectObject } from "../queries/read-objects.ts";
import { validatePolicy } from "../queries/validate-policy.ts";
import type { CommandTransaction } from "../store/control-store.ts";
import { activatePolicyIn } from "./activate-policy.ts";
import { createAdminKeyIn } from "./create-admin-key.ts";
import { TENANT_DEFAULTS } from "./create-tenant.ts";
import { UPSTREAM_DEFAULTS } from "./create-upstream.ts";
import { mintIn } from "./mint-token.ts";
import { pinCatalogue } from "./pin-catalogue.ts";
import { proposePolicyIn } from "./propose-policy.ts";
import { takeTenantName } from "./require-tenant-name.ts";
import { makeRootKey } from "./root-key-material.ts";
import { STARTER_CAVEATS, STARTER_RULES } from "./starter-rules.ts";
import { storeTransport } from "./store-transport.ts";

/** The same on every instance, so that two first starts at once cannot make two of it. Not a secret. */
export const DEFAULT_TENANT = "00000000-0000-7000-8000-000000000001";
const STARTER_LIFETIME_SECONDS = 90 * 86_400;
const STARTER_CALLS_PER_DAY = 1_000;

const SYSTEM: Actor = { by: "system:bootstrap", tenantId: INSTANCE_TENANT, grants: new Set(["*"]) };

export interface BootstrapOptions {
  /**
   * Puts a secret where only its user can read it, flushed before it resolves. Left out (production), the admin key
   * is in the result once, and written nowhere.
   */
  readonly saveSecret?: (name: "admin-key" | "starter-token", text: string) => Promise<void>;
  /** The upstream of the starter tenant; left out, no starter tenant is made. */
  readonly starter?: { readonly upstream: UpstreamTransport };
}

export interface BootstrapResult {
  /** The instance's first admin key, only from the start that made it. */
  readonly adminKey: string | undefined;
  readonly starter:
    | {
        readonly tenantId: string;
        readonly tenant: string;
        readonly agent: string;
        readonly agentId: string;
        readonly upstream: string;
        readonly upstreamId: string;
        /** The starter token, only from the start that made it. */
        readonly token: string | undefined;
      }
    | undefined;
}

export async function bootstrap(context: ControlContext, options: BootstrapOptions): Promise<BootstrapResult> {
  await context.store.ensureInstance();
  const adminKey = await ensureAdminKey(context, options);
  const starter = options.starter === undefined ? undefined : await ensureStarter(context, options, options.starter);
  return { adminKey, starter };
}

async function ensureAdminKey(context: ControlContext, options: BootstrapOptions): Promise<string | undefined> {
  const any = await context.store.read([INSTANCE_TENANT], selectAnyKey);
  if (any) return undefined;
  return context.store.command(SYSTEM, INSTANCE_TENANT, async (transaction) => {
    // Looked at again under the head's lock: another process may have been first.
    if (await selectAnyKey(transaction)) return undefined;
    const input = { name: "first", permissions: ["*"] } as const;
    const { key } = await createAdminKeyIn(transaction, context, SYSTEM, INSTANCE_TENANT, input);
    if (parseAdminKey(key) === undefined) throw new TypeError("a new admin key must read back");
    await options.saveSecret?.("admin-key", key);
    return key;
  });
}

async function selectAnyKey(transaction: Pick<CommandTransaction, "query">): Promise<boolean> {
  const rows = await transaction.query("SELECT 1 AS one FROM admin_key WHERE tenant_id = $1 LIMIT 1", [
    INSTANCE_TENANT,
  ]);
  return rows.length > 0;
}

async function ensureStarter(
  context: ControlContext,
  options: BootstrapOptions,
  starter: { readonly upstream: UpstreamTransport },
): Promise<Exclude<BootstrapResult["starter"], undefined>> {
  const names = { tenantId: DEFAULT_TENANT, tenant: "default", agent: "assistant", upstream: "everything" };
  const found = await context.store.read([DEFAULT_TENANT], async (transaction) => ({
    tenant: await selectObject(transaction, DEFAULT_TENANT, "tenant", DEFAULT_TENANT),
    agentId: await selectIdOf(transaction, DEFAULT_TENANT, "agent", names.agent),
    upstreamId: await selectIdOf(transaction, DEFAULT_TENANT, "upstream", names.upstream),
  }));
  if (found.tenant !== undefined) {
    return { ...names, agentId: found.agentId ?? "", upstreamId: found.upstreamId ?? "", token: undefined };
  }
  const ids = {
    agentId: makeId(context),
    principalId: makeId(context),
    upstreamId: makeId(context),
    keyId: makeId(context),
  };
  const rootKey = makeRootKey(context, DEFAULT_TENANT, ids.keyId);
  const { valid, digest } = validatePolicy(STARTER_RULES);
  if (!valid) throw new TypeError("the starter rules must be valid");
  const upstream: Upstream = {
    name: names.upstream,
    transport: storeTransport(
      context,
      { tenantId: DEFAULT_TENANT, upstreamId: ids.upstreamId },
      starter.upstream,
      undefined,
    ),
    isolation: UPSTREAM_DEFAULTS.isolation,
    status: "active",
    timeoutMs: UPSTREAM_DEFAULTS.timeoutMs,
    concurrencyMax: UPSTREAM_DEFAULTS.concurrencyMax,
  };
  const token = await context.store.createTenant(SYSTEM, DEFAULT_TENANT, async (transaction) => {
    const settings = {
      name: names.tenant,
      status: "active",
      tokenLifetimeMaxSeconds: STARTER_LIFETIME_SECONDS,
      budgetNodesMax: TENANT_DEFAULTS.budgetNodesMax,
    } as const;
    await takeTenantName(transaction, DEFAULT_TENANT, settings.name);
    await transaction.put("tenant", DEFAULT_TENANT, settings, 0);
    transaction.record("tenant.created", { version: 1, tenantId: DEFAULT_TENANT });
    await transaction.put("root_key", ids.keyId, rootKey, 0);
    transaction.record("root_key.created", { version: 1, keyId: ids.keyId });
    const principal = { name: "starter", type: "person", status: "active" } as const;
    await transaction.put("principal", ids.principalId, principal, 0);
    transaction.record("principal.created", { version: 1, principalId: ids.principalId });
    const agent = { name: names.agent, principalId: ids.principalId, status: "active", labels: {} } as const;
    await transaction.put("agent", ids.agentId, agent, 0);
    transaction.record("agent.created", { version: 1, agentId: ids.agentId, principalId: ids.principalId });
    await transaction.put("upstream", ids.upstreamId, upstream, 0);
    transaction.record("upstream.created", { version: 1, upstreamId: ids.upstreamId, upstream: upstream.name });
    const policy = await proposePolicyIn(transaction, context, SYSTEM, DEFAULT_TENANT, {
      source: STARTER_RULES,
      digest,
    });
    await activatePolicyIn(transaction, DEFAULT_TENANT, policy.id, { expectedActive: null });
    const minted = await mintIn(transaction, context, DEFAULT_TENANT, {
      agent: ids.agentId,
      caveats: [...STARTER_CAVEATS, JSON.stringify({ calls: { limit: STARTER_CALLS_PER_DAY, window: "day" } })],
      expiresInSeconds: STARTER_LIFETIME_SECONDS,
      label: "starter",
    });
    await options.saveSecret?.("starter-token", minted.token);
    return minted.token;
  });
  return { ...names, agentId: ids.agentId, upstreamId: ids.upstreamId, token };
}

/** A first start is cut short more easily here than anywhere: each start makes sure that the starter can be called. */
export async function pinStarter(
  context: ControlContext,
  starter: NonNullable<BootstrapResult["starter"]>,
  signal: AbortSignal,
): Promise<void> {
  const { tenantId, upstream, upstreamId } = starter;
  if (upstreamId === "") return;
  const pinned = await context.store.read([tenantId], (transaction) => countTools(transaction, tenantId, upstream));
  if (pinned === 0) await pinCatalogue(context, SYSTEM, tenantId, upstreamId, signal);
}

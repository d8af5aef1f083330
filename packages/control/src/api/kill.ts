/** Routes of kill switches: a tenant's own, and the instance's. */
import { engageKill } from "../commands/engage-kill.ts";
import { releaseKill } from "../commands/release-kill.ts";
import { notFound } from "../problem.ts";
import { listKills } from "../queries/list-kills.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

const TENANT = { scope: "tenant", scopeId: "" } as const;
const INSTANCE = { scope: "instance", scopeId: "" } as const;
const SCOPES: readonly string[] = ["agent", "principal", "upstream", "tool"];

/** The path says what it wants; only these scopes have an id. Problem `not_found`. */
function checkScope<T extends { readonly scope: string }>(params: T): T {
  if (!SCOPES.includes(params.scope)) throw notFound();
  return params;
}

export const killRoutes = [
  defineRoute("kill.list", {
    answer: schema.page(schema.killView),
    handle: ({ control, tenantId }) => listKills(control, tenantId),
  }),
  defineRoute("kill.engage-tenant", {
    body: schema.killEngage,
    answer: schema.killView,
    handle: ({ control, actor, tenantId }, { body }) => engageKill(control, actor, tenantId, TENANT, body.reason),
  }),
  defineRoute("kill.release-tenant", {
    answer: "none",
    handle: ({ control, actor, tenantId }) => releaseKill(control, actor, tenantId, TENANT),
  }),
  defineRoute("kill.engage", {
    body: schema.killEngage,
    answer: schema.killView,
    handle: async ({ control, actor, tenantId }, { params, body }) =>
      engageKill(control, actor, tenantId, checkScope(params), body.reason),
  }),
  defineRoute("kill.release", {
    answer: "none",
    handle: async ({ control, actor, tenantId }, { params }) =>
      releaseKill(control, actor, tenantId, checkScope(params)),
  }),
  defineRoute("instance.kill.get", {
    answer: schema.page(schema.killView),
    handle: ({ control, tenantId }) => listKills(control, tenantId),
  }),
  defineRoute("instance.kill.engage", {
    body: schema.killEngage,
    answer: schema.killView,
    handle: ({ control, actor, tenantId }, { body }) => engageKill(control, actor, tenantId, INSTANCE, body.reason),
  }),
  defineRoute("instance.kill.release", {
    answer: "none",
    handle: ({ control, actor, tenantId }) => releaseKill(control, actor, tenantId, INSTANCE),
  }),
] as const;

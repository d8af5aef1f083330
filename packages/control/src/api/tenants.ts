/** Routes of tenants. */
import { createTenant } from "../commands/create-tenant.ts";
import { updateTenant } from "../commands/update-tenant.ts";
import { listTenants } from "../queries/find-tenant.ts";
import { makePage, readObject, readPage, viewOf } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const tenantRoutes = [
  defineRoute("tenants.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.tenantView),
    handle: async ({ control }, { query }) => {
      const { after, limit } = readPage(query);
      const all = await listTenants(control);
      const items = all.filter((tenant) => tenant.id > after).slice(0, limit + 1);
      return makePage(items.map(viewOf), limit, (tenant) => tenant.id);
    },
  }),
  defineRoute("tenants.create", {
    body: schema.tenantCreate,
    answer: schema.tenantView,
    status: 201,
    handle: ({ control, actor }, { body }) => createTenant(control, actor, body),
  }),
  defineRoute("tenants.get", {
    answer: schema.tenantView,
    handle: async ({ control, tenantId }) => viewOf(await readObject(control, tenantId, "tenant", tenantId)),
  }),
  defineRoute("tenants.update", {
    body: schema.tenantUpdate,
    answer: schema.tenantView,
    handle: ({ control, actor, tenantId }, { body }) => updateTenant(control, actor, tenantId, body),
  }),
] as const;

/** Routes of principals. */
import { createPrincipal } from "../commands/create-principal.ts";
import { updatePrincipal } from "../commands/update-principal.ts";
import { listObjects, readNamedObject, readPage, viewOf } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const principalRoutes = [
  defineRoute("principals.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.principalView),
    handle: async ({ control, tenantId }, { query }) => {
      const page = await listObjects(control, tenantId, "principal", readPage(query));
      return { ...page, items: page.items.map(viewOf) };
    },
  }),
  defineRoute("principals.create", {
    body: schema.principalCreate,
    answer: schema.principalView,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createPrincipal(control, actor, tenantId, body),
  }),
  defineRoute("principals.get", {
    answer: schema.principalView,
    handle: async ({ control, tenantId }, { params }) =>
      viewOf(await readNamedObject(control, tenantId, "principal", params.id)),
  }),
  defineRoute("principals.update", {
    body: schema.principalUpdate,
    answer: schema.principalView,
    handle: ({ control, actor, tenantId }, { params, body }) =>
      updatePrincipal(control, actor, tenantId, params.id, body),
  }),
] as const;

/** Routes of rates. */
import { createRate } from "../commands/create-rate.ts";
import { removeRate } from "../commands/remove-rate.ts";
import { updateRate } from "../commands/update-rate.ts";
import { listObjects, readObject, readPage, viewOf } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const rateRoutes = [
  defineRoute("rates.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.rateView),
    handle: async ({ control, tenantId }, { query }) => {
      const page = await listObjects(control, tenantId, "rate", readPage(query));
      return { ...page, items: page.items.map(viewOf) };
    },
  }),
  defineRoute("rates.create", {
    body: schema.rateCreate,
    answer: schema.rateView,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createRate(control, actor, tenantId, body),
  }),
  defineRoute("rates.get", {
    answer: schema.rateView,
    handle: async ({ control, tenantId }, { params }) => viewOf(await readObject(control, tenantId, "rate", params.id)),
  }),
  defineRoute("rates.update", {
    body: schema.rateUpdate,
    answer: schema.rateView,
    handle: ({ control, actor, tenantId }, { params, body }) => updateRate(control, actor, tenantId, params.id, body),
  }),
  defineRoute("rates.remove", {
    query: schema.versionQuery,
    answer: "none",
    handle: ({ control, actor, tenantId }, { params, query }) =>
      removeRate(control, actor, tenantId, params.id, Number(query.version)),
  }),
] as const;

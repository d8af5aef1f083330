/** Routes of the price list. */
import { createPrice } from "../commands/create-price.ts";
import { removePrice } from "../commands/remove-price.ts";
import { updatePrice } from "../commands/update-price.ts";
import { listObjects, readObject, readPage, viewOf } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const priceRoutes = [
  defineRoute("prices.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.priceView),
    handle: async ({ control, tenantId }, { query }) => {
      const page = await listObjects(control, tenantId, "price", readPage(query));
      return { ...page, items: page.items.map(viewOf) };
    },
  }),
  defineRoute("prices.create", {
    body: schema.priceCreate,
    answer: schema.priceView,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createPrice(control, actor, tenantId, body),
  }),
  defineRoute("prices.get", {
    answer: schema.priceView,
    handle: async ({ control, tenantId }, { params }) =>
      viewOf(await readObject(control, tenantId, "price", params.id)),
  }),
  defineRoute("prices.update", {
    body: schema.priceUpdate,
    answer: schema.priceView,
    handle: ({ control, actor, tenantId }, { params, body }) => updatePrice(control, actor, tenantId, params.id, body),
  }),
  defineRoute("prices.remove", {
    query: schema.versionQuery,
    answer: "none",
    handle: ({ control, actor, tenantId }, { params, query }) =>
      removePrice(control, actor, tenantId, params.id, Number(query.version)),
  }),
] as const;

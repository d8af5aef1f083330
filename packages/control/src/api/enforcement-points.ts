/** Routes of enforcement points, who ask for decisions on behalf of agents. */
import { createEnforcementPoint } from "../commands/create-enforcement-point.ts";
import { revokeEnforcementPoint } from "../commands/revoke-enforcement-point.ts";
import { pointView } from "../queries/point-view.ts";
import { listObjects, readPage } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const enforcementPointRoutes = [
  defineRoute("enforcement-points.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.enforcementPointView),
    handle: async ({ control, tenantId }, { query }) => {
      const page = await listObjects(control, tenantId, "enforcement_point", readPage(query));
      return { ...page, items: page.items.map(pointView) };
    },
  }),
  defineRoute("enforcement-points.create", {
    body: schema.enforcementPointCreate,
    answer: schema.enforcementPointCreateAnswer,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createEnforcementPoint(control, actor, tenantId, body),
  }),
  defineRoute("enforcement-points.revoke", {
    answer: "none",
    handle: ({ control, actor, tenantId }, { params }) => revokeEnforcementPoint(control, actor, tenantId, params.id),
  }),
] as const;

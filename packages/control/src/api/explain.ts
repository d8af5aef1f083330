/** The route that explains one call stage by stage. */
import { explainCall } from "../queries/explain-call.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const explainRoutes = [
  defineRoute("explain.run", {
    body: schema.explainRequest,
    answer: schema.explainAnswer,
    handle: ({ control, tenantId }, { body }) => explainCall(control, tenantId, body),
  }),
] as const;

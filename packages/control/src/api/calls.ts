/** Routes of calls that may have run. */
import { reconcileCall } from "../commands/reconcile-call.ts";
import { listUnknownCalls } from "../queries/list-unknown-calls.ts";
import { readPage } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const callRoutes = [
  defineRoute("calls.unknown", {
    query: schema.pageQuery,
    answer: schema.page(schema.unknownCall),
    handle: ({ control, tenantId }, { query }) => listUnknownCalls(control, tenantId, readPage(query)),
  }),
  defineRoute("calls.reconcile", {
    body: schema.callReconcile,
    answer: schema.callReconcileAnswer,
    handle: ({ control, actor, tenantId }, { params, body }) =>
      reconcileCall(control, actor, tenantId, params.id, body),
  }),
] as const;

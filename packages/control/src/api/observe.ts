/** Routes of observe mode: which upstreams' policies only observe, and until when. */
import { startObserving } from "../commands/start-observing.ts";
import { stopObserving } from "../commands/stop-observing.ts";
import { listObserved } from "../queries/list-observed.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const observeRoutes = [
  defineRoute("observe.list", {
    answer: schema.page(schema.observeView),
    handle: ({ control, tenantId }) => listObserved(control, tenantId),
  }),
  defineRoute("observe.start", {
    body: schema.observeStart,
    answer: schema.observeView,
    handle: ({ control, actor, tenantId }, { params, body }) =>
      startObserving(control, actor, tenantId, { reference: params.id, seconds: body.seconds }),
  }),
  defineRoute("observe.stop", {
    answer: "none",
    handle: ({ control, actor, tenantId }, { params }) => stopObserving(control, actor, tenantId, params.id),
  }),
] as const;

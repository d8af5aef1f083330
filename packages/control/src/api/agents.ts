/** Routes of agents. */
import { createAgent } from "../commands/create-agent.ts";
import { updateAgent } from "../commands/update-agent.ts";
import { listObjects, readNamedObject, readPage, viewOf } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const agentRoutes = [
  defineRoute("agents.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.agentView),
    handle: async ({ control, tenantId }, { query }) => {
      const page = await listObjects(control, tenantId, "agent", readPage(query));
      return { ...page, items: page.items.map(viewOf) };
    },
  }),
  defineRoute("agents.create", {
    body: schema.agentCreate,
    answer: schema.agentView,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createAgent(control, actor, tenantId, body),
  }),
  defineRoute("agents.get", {
    answer: schema.agentView,
    handle: async ({ control, tenantId }, { params }) =>
      viewOf(await readNamedObject(control, tenantId, "agent", params.id)),
  }),
  defineRoute("agents.update", {
    body: schema.agentUpdate,
    answer: schema.agentView,
    handle: ({ control, actor, tenantId }, { params, body }) => updateAgent(control, actor, tenantId, params.id, body),
  }),
] as const;

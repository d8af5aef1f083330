/** Routes of budget rules and their usage. */
import { createBudget } from "../commands/create-budget.ts";
import { removeBudget } from "../commands/remove-budget.ts";
import { updateBudget } from "../commands/update-budget.ts";
import { listBudgetUsage } from "../queries/list-budget-usage.ts";
import { listObjects, readObject, readPage, viewOf } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const budgetRoutes = [
  defineRoute("budgets.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.budgetView),
    handle: async ({ control, tenantId }, { query }) => {
      const page = await listObjects(control, tenantId, "budget", readPage(query));
      return { ...page, items: page.items.map(viewOf) };
    },
  }),
  defineRoute("budgets.create", {
    body: schema.budgetCreate,
    answer: schema.budgetView,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createBudget(control, actor, tenantId, body),
  }),
  defineRoute("budgets.usage", {
    query: schema.pageQuery,
    answer: schema.page(schema.budgetUsage),
    handle: ({ control, tenantId }, { query }) => listBudgetUsage(control, tenantId, readPage(query)),
  }),
  defineRoute("budgets.get", {
    answer: schema.budgetView,
    handle: async ({ control, tenantId }, { params }) =>
      viewOf(await readObject(control, tenantId, "budget", params.id)),
  }),
  defineRoute("budgets.update", {
    body: schema.budgetUpdate,
    answer: schema.budgetView,
    handle: ({ control, actor, tenantId }, { params, body }) => updateBudget(control, actor, tenantId, params.id, body),
  }),
  defineRoute("budgets.remove", {
    query: schema.versionQuery,
    answer: "none",
    handle: ({ control, actor, tenantId }, { params, query }) =>
      removeBudget(control, actor, tenantId, params.id, Number(query.version)),
  }),
] as const;

/** Routes of upstreams and their pinned tools. */
import type { UpstreamView } from "@writ/contract/admin";
import { readStandings } from "@writ/history";
import { approveCatalogue } from "../commands/approve-catalogue.ts";
import { createUpstream } from "../commands/create-upstream.ts";
import { pinCatalogue } from "../commands/pin-catalogue.ts";
import { rejectCatalogue } from "../commands/reject-catalogue.ts";
import { removeUpstream } from "../commands/remove-upstream.ts";
import { updateUpstream } from "../commands/update-upstream.ts";
import { countTools } from "../queries/count-tools.ts";
import { makeUpstreamView } from "../queries/make-upstream-view.ts";
import { makePage, readNamedObject, readPage, selectObjects, viewOf } from "../queries/read-objects.ts";
import { reviewCatalogue } from "../queries/review-catalogue.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const upstreamRoutes = [
  defineRoute("upstreams.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.upstreamView),
    handle: ({ control, tenantId }, { query }) => {
      const page = readPage(query);
      return control.store.read([tenantId], async (transaction) => {
        const found = makePage(
          await selectObjects(transaction, tenantId, "upstream", page),
          page.limit,
          (upstream) => upstream.id,
        );
        const standings = await readStandings(transaction);
        const items: UpstreamView[] = [];
        for (const upstream of found.items) {
          const toolsPinned = await countTools(transaction, tenantId, upstream.value.name);
          items.push(makeUpstreamView(upstream, toolsPinned, standings));
        }
        return { ...found, items };
      });
    },
  }),
  defineRoute("upstreams.create", {
    body: schema.upstreamCreate,
    answer: schema.upstreamView,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createUpstream(control, actor, tenantId, body),
  }),
  defineRoute("upstreams.get", {
    answer: schema.upstreamView,
    handle: async ({ control, tenantId }, { params }) => {
      const upstream = await readNamedObject(control, tenantId, "upstream", params.id);
      return control.store.read([tenantId], async (transaction) => {
        const toolsPinned = await countTools(transaction, tenantId, upstream.value.name);
        return makeUpstreamView(upstream, toolsPinned, await readStandings(transaction));
      });
    },
  }),
  defineRoute("upstreams.update", {
    body: schema.upstreamUpdate,
    answer: schema.upstreamView,
    handle: ({ control, actor, tenantId }, { params, body }) =>
      updateUpstream(control, actor, tenantId, params.id, body),
  }),
  defineRoute("upstreams.remove", {
    query: schema.versionQuery,
    answer: "none",
    handle: ({ control, actor, tenantId }, { params, query }) =>
      removeUpstream(control, actor, tenantId, params.id, Number(query.version)),
  }),
  defineRoute("upstreams.pin", {
    answer: schema.pinAnswer,
    handle: ({ control, actor, tenantId }, { params }) => pinCatalogue(control, actor, tenantId, params.id),
  }),
  defineRoute("upstreams.review", {
    answer: schema.catalogueReview,
    handle: async ({ control, tenantId }, { params }) =>
      (await reviewCatalogue(control, tenantId, params.id, { fresh: true })).shown,
  }),
  defineRoute("upstreams.approve", {
    body: schema.catalogueDecide,
    answer: schema.catalogueDecideAnswer,
    handle: ({ control, actor, tenantId }, { params, body }) =>
      approveCatalogue(control, actor, tenantId, params.id, body),
  }),
  defineRoute("upstreams.reject", {
    body: schema.catalogueDecide,
    answer: schema.catalogueDecideAnswer,
    handle: ({ control, actor, tenantId }, { params, body }) =>
      rejectCatalogue(control, actor, tenantId, params.id, body),
  }),
  defineRoute("upstreams.tools", {
    query: schema.pageQuery,
    answer: schema.page(schema.toolView),
    handle: async ({ control, tenantId }, { params, query }) => {
      const page = readPage(query);
      const upstream = await readNamedObject(control, tenantId, "upstream", params.id);
      return control.store.read([tenantId], async (transaction) => {
        const prefix = `${upstream.value.name}/`;
        const tools = await selectObjects(transaction, tenantId, "tool", page, prefix);
        return makePage(tools.map(viewOf), page.limit, (tool) => tool.id);
      });
    },
  }),
] as const;

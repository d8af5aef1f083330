/** Routes of tokens and the nodes of their delegation trees. */
import { mintToken } from "../commands/mint-token.ts";
import { revokeNode } from "../commands/revoke-node.ts";
import { listTokens, readNode } from "../queries/read-node.ts";
import { readPage } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const tokenRoutes = [
  defineRoute("tokens.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.tokenView),
    handle: ({ control, tenantId }, { query }) => listTokens(control, tenantId, readPage(query)),
  }),
  defineRoute("tokens.mint", {
    body: schema.tokenMint,
    answer: schema.tokenMintAnswer,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => mintToken(control, actor, tenantId, body),
  }),
  defineRoute("nodes.get", {
    answer: schema.nodeView,
    handle: ({ control, tenantId }, { params }) => readNode(control, tenantId, params.node),
  }),
  defineRoute("nodes.revoke", {
    body: schema.nodeRevoke,
    answer: schema.nodeRevokeAnswer,
    handle: ({ control, actor, tenantId }, { params, body }) => revokeNode(control, actor, tenantId, params.node, body),
  }),
] as const;

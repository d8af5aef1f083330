/** Routes of admin keys: a tenant's, and the instance's by the same handlers. */
import { createAdminKey } from "../commands/create-admin-key.ts";
import { revokeAdminKey } from "../commands/revoke-admin-key.ts";
import { listAdminKeys } from "../queries/list-admin-keys.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const adminKeyRoutes = [
  defineRoute("admin-keys.list", {
    answer: schema.page(schema.adminKeyView),
    handle: ({ control, tenantId }) => listAdminKeys(control, tenantId),
  }),
  defineRoute("admin-keys.create", {
    body: schema.adminKeyCreate,
    answer: schema.adminKeyCreateAnswer,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createAdminKey(control, actor, tenantId, body),
  }),
  defineRoute("admin-keys.revoke", {
    answer: "none",
    handle: ({ control, actor, tenantId }, { params }) => revokeAdminKey(control, actor, tenantId, params.id),
  }),
  defineRoute("instance.admin-keys.list", {
    answer: schema.page(schema.adminKeyView),
    handle: ({ control, tenantId }) => listAdminKeys(control, tenantId),
  }),
  defineRoute("instance.admin-keys.create", {
    body: schema.adminKeyCreate,
    answer: schema.adminKeyCreateAnswer,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => createAdminKey(control, actor, tenantId, body),
  }),
  defineRoute("instance.admin-keys.revoke", {
    answer: "none",
    handle: ({ control, actor, tenantId }, { params }) => revokeAdminKey(control, actor, tenantId, params.id),
  }),
] as const;

/** Routes of root keys. The wrapped key itself is never shown. */
import { retireRootKey } from "../commands/retire-root-key.ts";
import { rotateRootKey } from "../commands/rotate-root-key.ts";
import { listObjects } from "../queries/read-objects.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

/** Keys that are shown; retired ones are shown too, and few. */
const KEYS_SHOWN_MAX = 1_000;

export const rootKeyRoutes = [
  defineRoute("root-keys.list", {
    answer: schema.page(schema.rootKeyView),
    handle: async ({ control, tenantId }) => {
      const page = await listObjects(control, tenantId, "root_key", { after: "", limit: KEYS_SHOWN_MAX });
      return { items: page.items.map(({ id, version, value }) => ({ id, version, status: value.status })) };
    },
  }),
  defineRoute("root-keys.rotate", {
    answer: schema.rootKeyRotateAnswer,
    status: 201,
    handle: ({ control, actor, tenantId }) => rotateRootKey(control, actor, tenantId),
  }),
  defineRoute("root-keys.retire", {
    answer: schema.rootKeyView,
    handle: ({ control, actor, tenantId }, { params }) => retireRootKey(control, actor, tenantId, params.id),
  }),
] as const;

/** Reads a node of a delegation tree with its recorded children, and root tokens with their revocations. */

import type { Revocation } from "@writ/contract";
import type { NodeView, Page, TokenView } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import type { Queries } from "../store/control-store.ts";
import { makePage, type PageRequest, selectObject, selectObjects } from "./read-objects.ts";

/** Nodes of one answer. */
const NODES_MAX = 1_000;
const DEPTH_MAX = 16;

export function readNode(context: ControlContext, tenantId: string, node: string): Promise<NodeView> {
  if (!/^[0-9a-f]{32}$/.test(node)) throw new Problem("fault_request", "a node is 32 lower-case hexadecimal digits");
  return context.store.read([tenantId], (transaction) => {
    let nodes = 0;
    const view = async (id: string, depth: number): Promise<NodeView> => {
      nodes += 1;
      const root = await selectObject(transaction, tenantId, "root_token", id);
      const recorded = root === undefined ? await selectObject(transaction, tenantId, "node", id) : undefined;
      const revoked = await selectObject(transaction, tenantId, "revocation", id);
      const children: NodeView[] = [];
      if (depth < DEPTH_MAX && (root !== undefined || recorded !== undefined)) {
        for (const child of await selectChildren(transaction, tenantId, id)) {
          if (nodes >= NODES_MAX) break;
          children.push(await view(child, depth + 1));
        }
      }
      return {
        node: id,
        kind: root !== undefined ? "root" : recorded !== undefined ? "recorded" : "unrecorded",
        ...(root === undefined ? {} : { root: root.value }),
        ...(recorded === undefined ? {} : { recorded: recorded.value }),
        ...(revoked === undefined ? {} : { revoked: revoked.value }),
        children,
      };
    };
    return view(node, 0);
  });
}

async function selectChildren(transaction: Queries, tenantId: string, parent: string): Promise<readonly string[]> {
  const rows = await transaction.query<{ readonly id: string }>(
    `SELECT id FROM authority WHERE tenant_id = $1 AND kind = 'node' AND deactivated_ms IS NULL
      AND value ->> 'parent' = $2 ORDER BY created_ms, id LIMIT $3`,
    [tenantId, parent, NODES_MAX],
  );
  return rows.map((row) => row.id);
}

export function listTokens(context: ControlContext, tenantId: string, page: PageRequest): Promise<Page<TokenView>> {
  return context.store.read([tenantId], async (transaction) => {
    const found = makePage(
      await selectObjects(transaction, tenantId, "root_token", page),
      page.limit,
      (token) => token.id,
    );
    const rows = await transaction.query<{ readonly id: string; readonly value: string }>(
      "SELECT id, value FROM authority WHERE tenant_id = $1 AND kind = 'revocation' AND deactivated_ms IS NULL AND id = ANY ($2)",
      [tenantId, found.items.map((token) => token.id)],
    );
    // Only commands write this column, and of this kind only revocations.
    const revoked = new Map(rows.map((row) => [row.id, JSON.parse(row.value) as Revocation]));
    const items = found.items.map(({ id, version, value }): TokenView => {
      const revocation = revoked.get(id);
      return { id, version, ...value, node: id, ...(revocation === undefined ? {} : { revoked: revocation }) };
    });
    return found.next === undefined ? { items } : { items, next: found.next };
  });
}

/** Reads stored policy versions and compares two of them. */

import type { Page, PolicyDiffAnswer, PolicyVersionView } from "@writ/contract/admin";
import { diffLines } from "@writ/policy";
import type { ControlContext } from "../control-context.ts";
import { notFound } from "../problem.ts";
import type { Queries } from "../store/control-store.ts";
import { makePage, type PageRequest, selectObject } from "./read-objects.ts";

interface VersionRow extends Record<string, unknown> {
  readonly version_id: string;
  readonly digest: string;
  readonly created_by: string;
  readonly created_ms: number;
  readonly source: string | null;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function listPolicyVersions(
  context: ControlContext,
  tenantId: string,
  page: PageRequest,
): Promise<Page<PolicyVersionView>> {
  return context.store.read([tenantId], async (transaction) => {
    const active = await selectObject(transaction, tenantId, "policy", "active");
    const rows = await transaction.query<VersionRow>(
      `SELECT version_id::text AS version_id, digest, created_by, created_ms, NULL::text AS source FROM policy_version
        WHERE tenant_id = $1 AND version_id::text > $2 ORDER BY version_id::text LIMIT $3`,
      [tenantId, page.after, page.limit + 1],
    );
    const items = rows.map((row) => viewVersion(row, active?.value.versionId));
    return makePage(items, page.limit, (item) => item.id);
  });
}

/** With its source. Problem `not_found`. */
export function readPolicyVersion(context: ControlContext, tenantId: string, id: string): Promise<PolicyVersionView> {
  return context.store.read([tenantId], async (transaction) => {
    const row = await selectVersion(transaction, tenantId, id);
    if (row === undefined) throw notFound();
    const active = await selectObject(transaction, tenantId, "policy", "active");
    return viewVersion(row, active?.value.versionId);
  });
}

export async function selectVersion(
  transaction: Queries,
  tenantId: string,
  id: string,
): Promise<(VersionRow & { readonly source: string }) | undefined> {
  if (!UUID.test(id)) return undefined;
  const rows = await transaction.query<VersionRow & { readonly source: string }>(
    `SELECT version_id::text AS version_id, digest, created_by, created_ms, source FROM policy_version
      WHERE tenant_id = $1 AND version_id = $2::uuid`,
    [tenantId, id],
  );
  return rows[0];
}

/** Each side is the id of a version, or `active`. Problem `not_found`. */
export async function diffPolicies(
  context: ControlContext,
  tenantId: string,
  from: string,
  to: string,
): Promise<PolicyDiffAnswer> {
  const [before, after] = await context.store.read([tenantId], async (transaction) => {
    const active = await selectObject(transaction, tenantId, "policy", "active");
    const idOf = (reference: string): string => (reference === "active" ? (active?.value.versionId ?? "") : reference);
    return [
      await selectVersion(transaction, tenantId, idOf(from)),
      await selectVersion(transaction, tenantId, idOf(to)),
    ] as const;
  });
  if (before === undefined || after === undefined) throw notFound();
  return { from: before.version_id, to: after.version_id, lines: diffLines(before.source, after.source) };
}

function viewVersion(row: VersionRow, activeId: string | undefined): PolicyVersionView {
  return {
    id: row.version_id,
    language: "rules",
    digest: row.digest,
    createdBy: row.created_by,
    createdAtMs: row.created_ms,
    active: row.version_id === activeId,
    ...(row.source === null ? {} : { source: row.source }),
  };
}

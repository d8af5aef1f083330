/** Reads objects of authority for lists and single views, by keyset pages. Changes nothing and locks nothing. */
import type { AuthorityKind, AuthorityValues } from "@writ/contract";
import type { Page } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { notFound, Problem } from "../problem.ts";
import type { Queries, Stored } from "../store/control-store.ts";

const PAGE_LIMIT_DEFAULT = 100;
const PAGE_LIMIT_MAX = 500;

export interface PageRequest {
  readonly after: string;
  readonly limit: number;
}

/** The page that a query asks for. Problem `fault_request` beyond the limits. */
export function readPage(query: { readonly after?: string; readonly limit?: string }): PageRequest {
  const limit = query.limit === undefined ? PAGE_LIMIT_DEFAULT : Number(query.limit);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > PAGE_LIMIT_MAX) {
    throw new Problem("fault_request", `limit must be from 1 to ${PAGE_LIMIT_MAX}`);
  }
  return { after: query.after ?? "", limit };
}

/** `items` holds one more than the page when there is another page. */
export function makePage<T>(items: readonly T[], limit: number, key: (item: T) => string): Page<T> {
  if (items.length <= limit) return { items };
  const shown = items.slice(0, limit);
  const last = shown.at(-1);
  return last === undefined ? { items: shown } : { items: shown, next: key(last) };
}

interface ObjectRow extends Record<string, unknown> {
  readonly id: string;
  readonly version: number;
  readonly value: string;
}

/** Objects of one kind in the order of their ids; one more than `limit`, so that the caller sees another page. */
export async function selectObjects<K extends AuthorityKind>(
  transaction: Queries,
  tenantId: string,
  kind: K,
  page: PageRequest,
  prefix = "",
): Promise<readonly Stored<AuthorityValues[K]>[]> {
  const rows = await transaction.query<ObjectRow>(
    `SELECT id, version, value FROM authority
      WHERE tenant_id = $1 AND kind = $2 AND deactivated_ms IS NULL AND id COLLATE "C" > $3
        AND starts_with(id, $4)
      ORDER BY id COLLATE "C" LIMIT $5`,
    [tenantId, kind, page.after, prefix, page.limit + 1],
  );
  return rows.map((row) => readStored<K>(row));
}

export async function selectObject<K extends AuthorityKind>(
  transaction: Queries,
  tenantId: string,
  kind: K,
  id: string,
): Promise<Stored<AuthorityValues[K]> | undefined> {
  const rows = await transaction.query<ObjectRow>(
    "SELECT id, version, value FROM authority WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND deactivated_ms IS NULL",
    [tenantId, kind, id],
  );
  return rows[0] === undefined ? undefined : readStored<K>(rows[0]);
}

/** The id of the agent, principal or upstream that has this id or this name. */
export async function selectIdOf(
  transaction: Queries,
  tenantId: string,
  kind: "agent" | "principal" | "upstream",
  reference: string,
): Promise<string | undefined> {
  const rows = await transaction.query<{ readonly id: string }>(
    `SELECT id FROM authority WHERE tenant_id = $1 AND kind = $2 AND deactivated_ms IS NULL
      AND (id = $3 OR value ->> 'name' = $3) ORDER BY (id = $3) DESC LIMIT 1`,
    [tenantId, kind, reference],
  );
  return rows[0]?.id;
}

export function listObjects<K extends AuthorityKind>(
  context: ControlContext,
  tenantId: string,
  kind: K,
  page: PageRequest,
): Promise<Page<Stored<AuthorityValues[K]>>> {
  return context.store.read([tenantId], async (transaction) =>
    makePage(await selectObjects(transaction, tenantId, kind, page), page.limit, (item) => item.id),
  );
}

/** Problem `not_found`. */
export async function readObject<K extends AuthorityKind>(
  context: ControlContext,
  tenantId: string,
  kind: K,
  id: string,
): Promise<Stored<AuthorityValues[K]>> {
  const found = await context.store.read([tenantId], (transaction) => selectObject(transaction, tenantId, kind, id));
  if (found === undefined) throw notFound();
  return found;
}

/** Problem `not_found`. For routes that take a name as well as an id. */
export async function readNamedObject<K extends "agent" | "principal" | "upstream">(
  context: ControlContext,
  tenantId: string,
  kind: K,
  reference: string,
): Promise<Stored<AuthorityValues[K]>> {
  const found = await context.store.read([tenantId], async (transaction) => {
    const id = await selectIdOf(transaction, tenantId, kind, reference);
    return id === undefined ? undefined : selectObject(transaction, tenantId, kind, id);
  });
  if (found === undefined) throw notFound();
  return found;
}

/** An object as the API shows it: its id and version beside its value. */
export function viewOf<T>(stored: Stored<T>): { readonly id: string; readonly version: number } & T {
  return { id: stored.id, version: stored.version, ...stored.value };
}

function readStored<K extends AuthorityKind>(row: ObjectRow): Stored<AuthorityValues[K]> {
  // Only commands write this column, each with the value of its kind.
  return { id: row.id, version: row.version, value: JSON.parse(row.value) as AuthorityValues[K] };
}

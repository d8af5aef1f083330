/** What most commands share: reading the object that a change is for, comparing versions, naming what changed. */
import type { AuthorityKind, AuthorityValues } from "@writ/contract";
import { notFound, Problem } from "../problem.ts";
import type { CommandTransaction, Stored } from "../store/control-store.ts";

/** The object to change. Problem `not_found`, or `version_conflict` that names both versions. */
export async function getForChange<K extends AuthorityKind>(
  transaction: CommandTransaction,
  kind: K,
  id: string,
  expectedVersion: number,
): Promise<Stored<AuthorityValues[K]>> {
  const stored = await transaction.get(kind, id);
  if (stored === undefined) throw notFound();
  if (stored.version !== expectedVersion) throw versionConflict(expectedVersion, stored.version);
  return stored;
}

export function versionConflict(expected: number | string | null, actual: number | string | null): Problem {
  return new Problem("version_conflict", `The caller saw ${expected ?? "none"}, and ${actual ?? "none"} is stored.`, {
    expectedVersion: expected,
    actualVersion: actual,
  });
}

/** The stored value with what the change gives, and the names of the members that differ, sorted. */
export function applyChange<T extends object>(value: T, change: Partial<T>): { value: T; changed: readonly string[] } {
  const next = { ...value };
  const changed: string[] = [];
  for (const name of Object.keys(change) as (keyof T & string)[]) {
    const wanted = change[name];
    if (wanted === undefined || JSON.stringify(wanted) === JSON.stringify(value[name])) continue;
    next[name] = wanted as T[keyof T & string]; // undefined was left out above
    changed.push(name);
  }
  return { value: next, changed: changed.sort() };
}

type Named = "agent" | "principal" | "upstream";

/** Id of the object that the request names by id or name. Problem `reference_unknown`. */
export async function requireReference(
  transaction: CommandTransaction,
  kind: Named,
  reference: string,
): Promise<string> {
  const id = await findReference(transaction, kind, reference);
  if (id === undefined) throw new Problem("reference_unknown", `There is no such ${kind}.`);
  return id;
}

/** Id of the object that the path names by id or name. Problem `not_found`. */
export async function requireTarget(transaction: CommandTransaction, kind: Named, reference: string): Promise<string> {
  const id = await findReference(transaction, kind, reference);
  if (id === undefined) throw notFound();
  return id;
}

/** An id wins over a name that looks like one. */
async function findReference(
  transaction: CommandTransaction,
  kind: Named,
  reference: string,
): Promise<string | undefined> {
  const byId = await transaction.get(kind, reference);
  if (byId !== undefined) return byId.id;
  return (await transaction.find(kind, { member: "name", equals: reference }))[0]?.id;
}

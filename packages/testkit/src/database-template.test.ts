import { expect, test } from "vitest";
import { freshPglite } from "./database-template.ts";

test("a copied database holds its migrations and nothing that a start makes: no key, no tenant, no log", async () => {
  const { handle, remove } = await freshPglite();
  try {
    const owner = handle.as("migrate");
    const tables = await owner.query<{ name: string }>(
      "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
    );
    const filled: string[] = [];
    for (const { name } of tables) {
      const rows = await owner.query(`SELECT FROM ${name} LIMIT 1`);
      if (rows.length > 0) filled.push(name);
    }
    expect(tables.length).toBeGreaterThan(10);
    expect(filled).toEqual(["public.writ_migration"]);
  } finally {
    await remove();
  }
});

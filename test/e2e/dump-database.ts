/** All that a database holds of one tenant and of the instance, for whoever looks for what must not be there. */
import { INSTANCE_TENANT } from "@writ/contract";
import { openPostgres } from "@writ/db";

/** Every row of every table, as text. */
export async function dumpDatabase(url: string, tenantId: string): Promise<string> {
  const database = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "test" });
  try {
    return await database.transaction({ tenants: [INSTANCE_TENANT, tenantId], readOnly: true }, async (transaction) => {
      const tables = await transaction.query<{ name: string }>(
        "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
      );
      const texts: string[] = [];
      for (const { name } of tables) {
        const rows = await transaction.query<{ row: string }>(`SELECT t::text AS row FROM "${name}" AS t`);
        texts.push(`${name}: ${rows.length}`, ...rows.map(({ row }) => row));
      }
      return texts.join("\n");
    });
  } finally {
    await database.close();
  }
}

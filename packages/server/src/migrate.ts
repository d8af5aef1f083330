/** `writ migrate`: creates the roles and applies what is missing, then ends. */
import type { Config } from "@writ/runtime";
import { openDatabases } from "./open-databases.ts";

/** Names of the migrations that were applied now. */
export async function migrateDatabase(config: Config): Promise<readonly string[]> {
  const databases = await openDatabases({ url: config.database.url, dataDir: config.dataDir });
  try {
    return await databases.migrate();
  } finally {
    await databases.close();
  }
}

/** The contract of history on Postgres, and what only concurrent connections can break. */
import { openPostgres } from "@writ/db";
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import { describeHistory } from "./history.contract.ts";

describeHistory("history on Postgres", async () => {
  const url = await freshDatabase(await sharedPostgres());
  return {
    open: (role) => openPostgres({ url, role, poolMax: 4, applicationName: "history" }),
    close: async () => undefined,
  };
});

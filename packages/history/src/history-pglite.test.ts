/** The contract of history on the embedded database. */
import { freshPglite } from "@writ/testkit";
import { describeHistory } from "./history.contract.ts";

describeHistory("history on the embedded database", async () => {
  const fresh = await freshPglite();
  return { open: (role) => fresh.handle.as(role), close: fresh.remove };
});

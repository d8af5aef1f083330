/** The coming partitions, on a real database. */
import { freshPglite } from "@writ/testkit";
import { expect, it } from "vitest";
import { createPartitionKeeper } from "./partition-keeper.ts";

it("makes the partitions of the coming months with the control role, once", async () => {
  const { handle, remove } = await freshPglite();
  try {
    const owner = handle.as("migrate");
    const count = async (): Promise<unknown> =>
      (await owner.query("SELECT count(*)::int4 AS n FROM pg_inherits WHERE inhparent = 'audit_event'::regclass"))[0]?.[
        "n"
      ];
    const before = await count();
    const last = (
      await owner.query(
        "SELECT max(c.relname) AS name FROM pg_class c WHERE c.relname ~ '^audit_event_[0-9]{4}_[0-9]{2}$'",
      )
    )[0]?.["name"];
    await owner.script(`DROP TABLE ${String(last)}`);
    const keeper = createPartitionKeeper({ db: handle.as("control"), log: { warn: () => {} } });
    await keeper.keep();
    await keeper.keep();
    expect(await count()).toBe(before);
  } finally {
    await remove();
  }
});

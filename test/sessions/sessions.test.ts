import { expect, test } from "vitest";
import { proveSessions } from "./prove-sessions.ts";

/** The same at full size is test/soak/sessions.ts. */
test("sessions of both kinds are opened, used and left without the gateway's memory growing", async () => {
  const report = await proveSessions({ sessions: 200, rounds: 4, greedyAgents: 1 });
  expect(report.rounds).toHaveLength(4);
  expect(report.opened).toBe(1_064);
});

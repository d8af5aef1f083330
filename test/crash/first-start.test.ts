/** The first start, interrupted on its way. Every 50 ms of it in a soak (`test/soak/crash.ts`). */
import { startWrit } from "@writ/testkit";
import { beforeAll, describe, expect, test } from "vitest";
import { interruptFirstStart } from "./first-start.ts";

/** What a whole first start takes here and now. */
let wholeMs = 0;

beforeAll(async () => {
  const writ = await startWrit({ command: "serve" });
  wholeMs = writ.startedInMs;
  await writ.dispose();
});

describe("a first start that is interrupted leaves nothing half-made", () => {
  test.each([
    ["SIGINT", 0.3],
    ["SIGKILL", 0.6],
    ["SIGTERM", 0.8],
    ["SIGKILL", 0.95],
  ] as const)("by %s after %d of it", async (signal, share) => {
    const { problems } = await interruptFirstStart(signal, Math.round(share * wholeMs));
    expect(problems).toEqual([]);
  });
});

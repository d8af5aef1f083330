import { randomBytes } from "node:crypto";
import type { Upstream } from "@writ/contract";
import type { SeenCatalogue, TenantState } from "@writ/core";
import { expect, test } from "vitest";
import { createCatalogueWatch } from "./catalogue-watch.ts";

const UPSTREAM: Upstream = {
  name: "up",
  transport: { type: "http", url: "https://up.example/mcp" },
  isolation: "shared",
  status: "active",
  timeoutMs: 1000,
  concurrencyMax: 1,
};

/** A watch over one upstream, on a clock that the test moves; a reading lasts until the test ends it. */
function makeWatch() {
  let nowMs = 0;
  const readings: ((catalogue: SeenCatalogue) => void)[] = [];
  let observed = 0;
  const state = {
    tenantId: "t",
    list: () => [{ id: "u", value: UPSTREAM }],
    get: () => UPSTREAM,
    toolsOf: () => [],
  } as unknown as TenantState; // what the watch looks at
  const watch = createCatalogueWatch({
    reader: { readCatalogue: () => new Promise((resolve) => readings.push(resolve)) },
    store: {
      async observe() {
        observed += 1;
        return { isNew: false };
      },
      quarantine: async () => ({ kind: "quarantined" }),
      wanted: async () => [],
    },
    states: { current: () => state, catchUp: async () => state },
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    random: { bytes: (length) => randomBytes(length) },
    gatewayId: "g",
    intervalMs: 60_000,
    record: () => undefined,
    log: { warn: () => undefined },
  });
  return {
    readings,
    pass(ms: number) {
      nowMs += ms;
    },
    review: () => watch.review(state),
    hear(times = 1) {
      for (let n = 0; n < times; n += 1) watch.heard("t", "u");
    },
    async end() {
      const before = observed;
      readings.at(-1)?.({ tools: [], instructions: undefined });
      await expect.poll(() => observed).toBe(before + 1);
      // What follows an observation is done in the same turn.
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("an upstream that says that its tools have changed is read at once", async () => {
  const { readings, review, hear, end } = makeWatch();
  review();
  await end();
  review();
  expect(readings).toHaveLength(1);
  hear();
  expect(readings).toHaveLength(2);
  await end();
});

test("what it says while it is read is read for once more, and not beside the reading", async () => {
  const { readings, review, hear, pass, end } = makeWatch();
  review();
  hear(100);
  expect(readings).toHaveLength(1);
  await end();
  pass(1);
  review();
  review();
  expect(readings).toHaveLength(2);
  await end();
});

test("an upstream that says so without end is read at the same distance each time", async () => {
  const { readings, review, hear, pass, end } = makeWatch();
  review();
  await end();
  for (let tenth = 0; tenth < 300; tenth += 1) {
    pass(100);
    const before = readings.length;
    hear(10);
    review();
    if (readings.length > before) await end();
  }
  // Half a minute: the first reading, and then one in five seconds.
  expect(readings.length).toBeGreaterThan(5);
  expect(readings.length).toBeLessThanOrEqual(8);
});

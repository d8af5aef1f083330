import type { BudgetClaim } from "@writ/contract";
import { expect, test } from "vitest";
import { type Asker, createCounterReadings } from "./counter-readings.ts";
import { Failure } from "./ports.ts";

const ASKER: Asker = { tenantId: "t", recordedNode: "n", agentId: "a" };

function claimOf(counter: string): BudgetClaim {
  return {
    counter,
    scope: "node",
    scopeId: "n",
    unit: "calls",
    window: "total",
    windowStartMs: 0,
    windowEndMs: Number.MAX_SAFE_INTEGER,
    amount: 1,
    limit: 5,
    mode: "hard",
  };
}

const claiming = (claims: readonly BudgetClaim[]) => ({ claims, root: "r", budgetNodesMax: 9 });

/** Counters that hold 7 each, and what was asked of them. */
function makeReadings() {
  const asked: string[][] = [];
  let nowMs = 0;
  let broken = false;
  const readings = createCounterReadings({
    clock: { monotonicMs: () => nowMs },
    store: {
      async totals(_tenantId, claims) {
        asked.push(claims.map(({ counter }) => counter));
        if (broken) throw new Failure("state_unavailable", "broken on purpose");
        return claims.map(() => 7);
      },
      async foresee(_tenantId, { claims }) {
        asked.push(claims.map(({ counter }) => counter));
        return { kind: "fits" };
      },
    },
  });
  return {
    readings,
    asked,
    wait: (ms: number) => {
      nowMs += ms;
    },
    breakStore: (value: boolean) => {
      broken = value;
    },
  };
}

test("what was read in this second is not read again, whichever token asks for it", async () => {
  const { readings, asked, wait } = makeReadings();
  const first = await readings.readRecent(ASKER, [claimOf("x"), claimOf("y")]);
  expect(first).toEqual({ kind: "read", totals: [7, 7] });
  expect(await readings.readRecent(ASKER, [claimOf("y"), claimOf("z")])).toEqual({ kind: "read", totals: [7, 7] });
  expect(asked).toEqual([["x", "y"], ["z"]]);
  wait(1_000);
  await readings.readRecent(ASKER, [claimOf("y")]);
  expect(asked.at(-1)).toEqual(["y"]);
});

test("one recorded node and agent reads ten times a second at most, by however many tokens", async () => {
  const { readings, asked, wait } = makeReadings();
  const kinds: string[] = [];
  for (let token = 0; token < 30; token += 1) {
    const claims = [claimOf(`of token ${token}`)];
    const reading = token % 2 === 0 ? readings.readRecent(ASKER, claims) : readings.foresee(ASKER, claiming(claims));
    kinds.push((await reading).kind);
  }
  expect(kinds.filter((kind) => kind !== "limited")).toHaveLength(10);
  expect(asked).toHaveLength(10);
  expect(await readings.readRecent({ ...ASKER, agentId: "b" }, [claimOf("x")])).toMatchObject({ kind: "read" });
  const foreseen = await readings.foresee({ ...ASKER, recordedNode: "m" }, claiming([claimOf("x")]));
  expect(foreseen.kind).toBe("fits");
  wait(1_000);
  expect((await readings.foresee(ASKER, claiming([claimOf("x")]))).kind).toBe("fits");
});

test("what could not be read fails, and is read anew by whoever asks next", async () => {
  const { readings, breakStore } = makeReadings();
  breakStore(true);
  const waiting = [readings.readRecent(ASKER, [claimOf("x")]), readings.readRecent(ASKER, [claimOf("x")])];
  for (const each of waiting) await expect(each).rejects.toBeInstanceOf(Failure);
  breakStore(false);
  expect(await readings.readRecent(ASKER, [claimOf("x")])).toEqual({ kind: "read", totals: [7] });
});

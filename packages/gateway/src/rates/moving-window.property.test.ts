// A moving window admits no more than its limit in any period, wherever that begins, in bounded memory.
import fc from "fast-check";
import { expect, test } from "vitest";
import { countAttempt } from "./count-attempt.ts";
import { makeMovingWindow } from "./moving-window.ts";
import { createRateTable } from "./rate-table.ts";

/** Times of attempts: in bursts, and with pauses of up to some periods. */
function times(periodMs: number): fc.Arbitrary<readonly number[]> {
  const gap = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 3 }) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: Math.ceil(periodMs / 10) }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 * periodMs }) },
    // Just before what happened last leaves the window.
    { weight: 1, arbitrary: fc.integer({ min: 1, max: Math.ceil(periodMs / 20) }).map((ms) => periodMs - ms) },
  );
  return fc.array(gap, { minLength: 1, maxLength: 300 }).map((gaps) => {
    let nowMs = 0;
    return gaps.map((ms) => {
      nowMs += ms;
      return nowMs;
    });
  });
}

/** The most of these times that lie within one period. */
function mostWithin(admitted: readonly number[], periodMs: number): number {
  return Math.max(0, ...admitted.map((from) => admitted.filter((ms) => ms >= from && ms < from + periodMs).length));
}

const rate = fc.record({
  limit: fc.integer({ min: 1, max: 40 }),
  periodMs: fc.constantFrom(1_000, 60_000),
  gateways: fc.integer({ min: 1, max: 5 }),
});
const attempts = rate.chain((of) => times(of.periodMs).map((at) => ({ ...of, at })));

test("no period holds more than the limit, whoever is refused has used up nothing, and the wait is long enough", () => {
  let refused = 0;
  let recovered = 0;
  fc.assert(
    fc.property(attempts, ({ limit, periodMs, gateways, at }) => {
      const window = makeMovingWindow();
      const counted = [{ name: "x", limit, periodMs, windows: [window] as const }];
      const admitted: number[] = [];
      let openAtMs = 0;
      for (const nowMs of at) {
        const before = window.total;
        const result = countAttempt(counted, gateways, nowMs);
        if (result.kind === "admitted") {
          if (nowMs < openAtMs) throw new Error("admitted before the wait was over");
          if (openAtMs > 0) recovered += 1;
          admitted.push(nowMs);
        } else {
          refused += 1;
          expect(window.total).toBeLessThanOrEqual(before);
          expect(result.waitMs).toBeGreaterThan(0);
          openAtMs = nowMs + result.waitMs;
          expect(countAttempt(counted, gateways, nowMs).kind).toBe("refused");
        }
        // Three numbers for each of at most two slices more than a period has parts.
        expect(window.slices.length).toBeLessThanOrEqual(3 * 32);
        expect(window.total).toBe(window.slices.reduce((sum, value, at) => (at % 3 === 2 ? sum + value : sum), 0));
      }
      const share = limit >= gateways ? Math.floor(limit / gateways) : 1;
      expect(mostWithin(admitted, periodMs)).toBeLessThanOrEqual(share);
      // Where there are more gateways than units, one a longer period.
      if (limit < gateways) expect(mostWithin(admitted, (periodMs * gateways) / limit)).toBeLessThanOrEqual(1);
    }),
    { numRuns: 2_000 },
  );
  // It would hold for a window that admits nothing, or everything of so few attempts.
  expect(refused).toBeGreaterThan(1_000);
  expect(recovered).toBeGreaterThan(100);
});

test("whoever waits as long as it is told is admitted", () => {
  fc.assert(
    fc.property(attempts, ({ limit, periodMs, gateways, at }) => {
      const counted = [{ name: "x", limit, periodMs, windows: [makeMovingWindow()] as const }];
      let lateMs = 0;
      for (const ms of at) {
        const result = countAttempt(counted, gateways, ms + lateMs);
        if (result.kind === "admitted") continue;
        lateMs += result.waitMs;
        expect(countAttempt(counted, gateways, ms + lateMs).kind).toBe("admitted");
      }
    }),
    { numRuns: 500 },
  );
});

test("an attempt in several rates is counted in all or in none, and no rate of them holds more than its limit", () => {
  const two = fc.record({ first: fc.integer({ min: 1, max: 9 }), second: fc.integer({ min: 1, max: 30 }) });
  fc.assert(
    fc.property(two, times(1_000), ({ first, second }, at) => {
      const [short, long] = [makeMovingWindow(), makeMovingWindow()];
      const counted = [
        { name: "short", limit: first, periodMs: 1_000, windows: [short] as const },
        { name: "long", limit: second, periodMs: 60_000, windows: [long] as const },
      ];
      const admitted = at.filter((nowMs) => {
        const [before, after] = [short.total, long.total];
        const { kind } = countAttempt(counted, 1, nowMs);
        if (kind === "refused") expect(short.total <= before && long.total <= after).toBe(true);
        return kind === "admitted";
      });
      expect(mostWithin(admitted, 1_000)).toBeLessThanOrEqual(first);
      expect(mostWithin(admitted, 60_000)).toBeLessThanOrEqual(second);
    }),
    { numRuns: 500 },
  );
});

test("trap-38 a full table limits whoever has no room more strictly, never less, and stays bounded", () => {
  const WINDOWS_MAX = 4;
  let shared = 0;
  const step = fc.record({ name: fc.integer({ min: 0, max: 12 }), gapMs: fc.constantFrom(0, 1, 40, 300, 700, 2_500) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 200 }), (limit, steps) => {
      const table = createRateTable({ windowsMax: WINDOWS_MAX });
      const admitted = new Map<number, number[]>();
      let nowMs = 0;
      for (const { name, gapMs } of steps) {
        nowMs += gapMs;
        const groups = [
          { name: `root ${name % 3}`, windowsMax: 2 },
          { name: `tenant ${name % 2}`, windowsMax: 3 },
        ];
        const windows = table.find(`${name}`, groups, nowMs);
        const { kind } = countAttempt([{ name: "x", limit, periodMs: 1_000, windows }], 1, nowMs);
        if (kind === "admitted") admitted.set(name, [...(admitted.get(name) ?? []), nowMs]);
        expect(table.size).toBeLessThanOrEqual(WINDOWS_MAX + 6);
      }
      for (const own of admitted.values()) expect(mostWithin(own, 1_000)).toBeLessThanOrEqual(limit);
      shared += table.takeShared();
      expect(table.takeShared()).toBe(0);
      table.sweep(nowMs + 1_000);
      expect(table.size).toBe(0);
    }),
    { numRuns: 3_000 },
  );
  expect(shared).toBeGreaterThan(1_000);
});

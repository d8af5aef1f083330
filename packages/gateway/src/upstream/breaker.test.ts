import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createBreaker } from "./breaker.ts";

const LIMITS = { breakerFailures: 3, backoffFirstMs: 100, backoffLastMs: 1000, openTimeoutMs: 5000 };

/** A breaker on a clock that the test moves; waits are as long as they can be. */
function makeBreaker() {
  let nowMs = 0;
  const changes: string[] = [];
  const breaker = createBreaker({
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    random: { bytes: () => new Uint8Array([255]) },
    limits: LIMITS,
    onChange: (state) => changes.push(state),
  });
  return {
    breaker,
    changes,
    pass(ms: number) {
      nowMs += ms;
    },
    fail(times: number) {
      for (let n = 0; n < times; n += 1) breaker.failed("upstream");
    },
  };
}

describe("a breaker", () => {
  test("opens after so many failures in a row, and an answer between them starts the count anew", () => {
    const { breaker, changes, fail } = makeBreaker();
    fail(2);
    breaker.succeeded();
    fail(2);
    expect(breaker.waitMs()).toBeUndefined();
    fail(1);
    expect(breaker.waitMs()).toBe(100);
    expect(changes).toEqual(["open"]);
  });

  test("lets one probe through when its time is over, and closes when that is answered", () => {
    const { breaker, changes, pass, fail } = makeBreaker();
    expect(breaker.notBeforeMs()).toBeUndefined();
    fail(3);
    expect(breaker.notBeforeMs()).toBe(100);
    pass(100);
    expect(breaker.waitMs()).toBeUndefined();
    expect(breaker.begin()).toBe("probe");
    expect(breaker.notBeforeMs()).toBe(100);
    expect(breaker.waitMs()).toBeGreaterThan(0);
    breaker.succeeded();
    expect(breaker.waitMs()).toBeUndefined();
    expect(breaker.notBeforeMs()).toBeUndefined();
    expect(breaker.begin()).toBe("try");
    expect(changes).toEqual(["open", "closed"]);
  });

  test("waits twice as long after each probe that fails, up to the longest, and from the first again once it closed", () => {
    const { breaker, pass, fail } = makeBreaker();
    fail(3);
    const waits: (number | undefined)[] = [breaker.waitMs()];
    for (let n = 0; n < 5; n += 1) {
      pass(waits.at(-1) ?? 0);
      breaker.begin();
      breaker.failed("upstream");
      waits.push(breaker.waitMs());
    }
    expect(waits).toEqual([100, 200, 400, 800, 1000, 1000]);
    breaker.succeeded();
    fail(3);
    expect(breaker.waitMs()).toBe(100);
  });

  test("does not wait longer for what was under way when it opened", () => {
    const { breaker, pass, fail } = makeBreaker();
    fail(3);
    pass(60);
    fail(10);
    expect(breaker.waitMs()).toBe(40);
  });

  test("gives the probe to somebody else when it was not made", () => {
    const { breaker, pass, fail } = makeBreaker();
    fail(3);
    pass(100);
    breaker.begin();
    breaker.withdraw();
    expect(breaker.waitMs()).toBeUndefined();
    expect(breaker.begin()).toBe("probe");
  });

  test("does not open for what one agent's calls alone end in, while others use the upstream", () => {
    const { breaker, changes } = makeBreaker();
    for (let n = 0; n < 100; n += 1) breaker.failed({ agentKey: "slow", isAlone: false });
    expect(breaker.waitMs()).toBeUndefined();
    breaker.failed({ agentKey: "other", isAlone: false });
    expect(breaker.waitMs()).toBe(100);
    expect(changes).toEqual(["open"]);
  });

  test("opens for an agent that has the upstream for itself", () => {
    const { breaker } = makeBreaker();
    for (let n = 0; n < 3; n += 1) breaker.failed({ agentKey: "only", isAlone: true });
    expect(breaker.waitMs()).toBe(100);
  });

  test("opens exactly when enough failed in a row and not all of it by one agent among several", () => {
    const who = fc.constantFrom("a", "a", "a", "b", "c");
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ by: who, isAlone: fc.constantFrom(false, false, true) }) },
      fc.constantFrom("upstream" as const, "answer" as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { breaker } = makeBreaker();
        let row: (string | undefined)[] = [];
        for (const each of steps) {
          if (each === "answer") {
            breaker.succeeded();
            row = [];
            continue;
          }
          const by = each === "upstream" ? undefined : each.by;
          breaker.failed(each === "upstream" ? each : { agentKey: each.by, isAlone: each.isAlone });
          row.push(by);
          const isOfOne = by !== undefined && row.every((one) => one === by);
          const isOpen = row.length >= LIMITS.breakerFailures && (!isOfOne || (each !== "upstream" && each.isAlone));
          expect(breaker.waitMs() !== undefined).toBe(isOpen);
          if (isOpen) return;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("takes no second probe, nor one before its time", () => {
    const { breaker, pass, fail } = makeBreaker();
    fail(3);
    expect(() => breaker.begin()).toThrow(TypeError);
    pass(100);
    breaker.begin();
    expect(() => breaker.begin()).toThrow(TypeError);
  });

  test("never holds two probes at once, and is never shut for longer than the longest wait, whatever happens", () => {
    const step = fc.constantFrom("fail", "succeed", "begin", "withdraw", "pass");
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { breaker, pass } = makeBreaker();
        let probing = false;
        for (const each of steps) {
          if (each === "begin" && breaker.waitMs() === undefined) {
            const isProbe = breaker.begin() === "probe";
            expect(isProbe && probing).toBe(false);
            probing = isProbe;
          } else if (each !== "begin") {
            if (each === "pass") pass(90);
            else if (each === "fail") breaker.failed("upstream");
            else if (each === "succeed") breaker.succeeded();
            else if (probing) breaker.withdraw();
            if (each !== "pass") probing = false;
          }
          expect(breaker.waitMs() ?? 0).toBeLessThanOrEqual(LIMITS.backoffLastMs);
        }
        // Whatever happened: with the probe's end and the longest wait, somebody may try.
        breaker.withdraw();
        pass(LIMITS.backoffLastMs);
        expect(breaker.waitMs()).toBeUndefined();
      }),
    );
  });
});

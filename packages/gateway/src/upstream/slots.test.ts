import { expect, test } from "vitest";
import { createSlots, type Slots } from "./slots.ts";

const never = new AbortController().signal;
const LONG_MS = 60_000;

/** Takes places and writes down who got one, in order; each is given back by hand. */
function makeVisitors(slots: Slots) {
  const got: string[] = [];
  const releases: (() => void)[] = [];
  const turnedAway: string[] = [];
  return {
    got,
    turnedAway,
    come(key: string, name = key): void {
      void slots.take(key, LONG_MS, never).then((release) => {
        if (release === undefined) turnedAway.push(name);
        else {
          got.push(name);
          releases.push(release);
        }
      });
    },
    async leave(count: number): Promise<void> {
      for (let left = 0; left < count; left += 1) {
        // A place that is handed out is taken in a later turn of the queue of promises.
        await new Promise((resolve) => setImmediate(resolve));
        releases.shift()?.();
      }
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("places go round the keys, so that one with a flood does not stand before another", async () => {
  const visitors = makeVisitors(createSlots(2, 100));
  for (let count = 0; count < 50; count += 1) visitors.come("flood");
  visitors.come("quiet");
  visitors.come("other", "other 1");
  visitors.come("other", "other 2");
  await visitors.leave(6);

  expect(visitors.got).toEqual(["flood", "flood", "flood", "quiet", "other 1", "flood", "other 2", "flood"]);
});

test("a queue that one key has filled lets another in, at the cost of the last that came", async () => {
  const visitors = makeVisitors(createSlots(1, 10));
  for (let count = 0; count <= 10; count += 1) visitors.come("flood", `flood ${count}`);
  visitors.come("flood", "too many");
  visitors.come("quiet");
  await visitors.leave(2);

  expect(visitors.turnedAway).toEqual(["too many", "flood 10"]);
  expect(visitors.got).toEqual(["flood 0", "flood 1", "quiet"]);
});

test("no place is lost, whoever gives up, leaves twice or is turned away", async () => {
  const slots = createSlots(2, 3);
  const first = await slots.take("a", LONG_MS, never);
  const second = await slots.take("b", LONG_MS, never);
  const gone = new AbortController();
  const waiting = slots.take("a", LONG_MS, gone.signal);
  const patient = slots.take("b", LONG_MS, never);
  gone.abort();
  expect(await waiting).toBeUndefined();
  expect(await slots.take("c", 0, never)).toBeUndefined();
  first?.();
  first?.();
  const third = await patient;
  expect(slots.used()).toBe(2);
  second?.();
  third?.();
  expect(slots.used()).toBe(0);
});

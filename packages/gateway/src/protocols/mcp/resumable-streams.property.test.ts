import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  eventsOf,
  lastIdOf,
  makeSession,
  type StreamRig,
  startStreams,
  wholeEvents,
} from "./resumable-streams.fixture.ts";

let rig: StreamRig;
beforeAll(async () => {
  rig = await startStreams();
});
afterAll(() => rig.close());

/** What happens to a stream while its client reads it. */
const STEP = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("say" as const), length: fc.nat({ max: 3_000 }) }) },
  // A cut after so many characters of the connection: anywhere, in the middle of an event, too.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cut" as const), after: fc.nat({ max: 4_000 }) }) },
);

test("what a client reads over all its connections is the unbroken stream, wherever they broke", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { maxLength: 12 }), async (steps) => {
      const session = makeSession();
      const { stream, reading, cut } = await rig.open(session);
      if (stream === undefined) throw new Error("there is room for one");
      const said: string[] = [];
      const say = (length: number): void => {
        said.push(JSON.stringify({ n: said.length, text: "x".repeat(length) }));
        void stream.say(said.at(-1) ?? "");
      };
      let heard = await reading.until("\n\n");
      let current = reading;
      let before = "";
      for (const step of steps) {
        if (step.kind === "say") {
          say(step.length);
          continue;
        }
        // It breaks off no later than at the end of what was said.
        const length = Math.min(step.after, current.text().length);
        before += wholeEvents(await current.leaveAfter(length));
        const from = lastIdOf(before);
        // Before the first event that is whole there is nothing to come back with.
        if (from === undefined) return;
        say(1);
        current = await rig.takeUp(session, from);
        expect(current.status).toBe(200);
      }
      say(2);
      void stream.finish();
      heard = before + (await current.end());
      expect(eventsOf(heard).map(({ data }) => data)).toEqual(said);
      expect(new Set(eventsOf(heard).map(({ id }) => id)).size).toBe(said.length);
      expect(cut.signal.aborted).toBe(false);
    }),
    { numRuns: 200 },
  );
});

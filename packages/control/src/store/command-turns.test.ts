import { expect, test } from "vitest";
import { COMMANDS_AT_ONCE, COMMANDS_WAITING_MAX, createCommandTurns } from "./command-turns.ts";

/** Work that ends when it is told to. */
function makeWork(): { readonly work: () => Promise<void>; end(error?: Error): void; begun: boolean } {
  let settle: (error?: Error) => void = () => undefined;
  const made = {
    begun: false,
    work: () =>
      new Promise<void>((resolve, reject) => {
        made.begun = true;
        settle = (error) => (error === undefined ? resolve() : reject(error));
      }),
    end: (error?: Error) => settle(error),
  };
  return made;
}

test("commands of one tenant take turns in order, those of another go beside them", async () => {
  const inTurn = createCommandTurns();
  const first = Array.from({ length: COMMANDS_AT_ONCE }, makeWork);
  const running = first.map(({ work }) => inTurn("a", work));
  const [third, fourth] = [makeWork(), makeWork()];
  const later = [inTurn("a", third.work), inTurn("a", fourth.work)];
  await inTurn("b", async () => undefined);
  expect([...first, third, fourth].map(({ begun }) => begun)).toEqual([...first.map(() => true), false, false]);

  first[0]?.end(new Error("it fails"));
  await expect(running[0]).rejects.toThrow("it fails");
  expect([third.begun, fourth.begun]).toEqual([true, false]);
  third.end();
  await later[0];
  for (const { end } of [...first, fourth]) end();
  await Promise.all([...running.slice(1), ...later]);
});

test("more commands than may wait are refused", async () => {
  const inTurn = createCommandTurns();
  const first = Array.from({ length: COMMANDS_AT_ONCE }, makeWork);
  const running = first.map(({ work }) => inTurn("a", work));
  const waiting = Array.from({ length: COMMANDS_WAITING_MAX }, () => inTurn("a", async () => undefined));
  await expect(inTurn("a", async () => undefined)).rejects.toThrow("Too many commands");
  await inTurn("b", async () => undefined);
  for (const { end } of first) end();
  await Promise.all([...running, ...waiting]);
  await inTurn("a", async () => undefined);
});

test("an urgent command goes before all that wait, however many they are", async () => {
  const inTurn = createCommandTurns();
  const first = Array.from({ length: COMMANDS_AT_ONCE }, makeWork);
  const running = first.map(({ work }) => inTurn("a", work));
  const order: string[] = [];
  const waiting = Array.from({ length: COMMANDS_WAITING_MAX }, (_value, index) =>
    inTurn("a", async () => order.push(`bulk ${index}`)),
  );
  const urgent = inTurn("a", async () => order.push("kill"), { urgent: true });
  for (const { end } of first) end();
  await Promise.all([...running, ...waiting, urgent]);
  expect(order.indexOf("kill")).toBeLessThan(COMMANDS_AT_ONCE);
});

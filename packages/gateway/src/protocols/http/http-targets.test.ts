/** The spelling of a request: what is judged is what the server sees, and what other readers of URLs make of it. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { closeDoors, type Door, get, openDoor } from "./http-door.fixture.ts";

afterEach(closeDoors);

interface TargetCase {
  readonly target: string;
  /** As it goes on; absent where it does not. */
  readonly sent?: string;
  readonly refused?: string;
  /** What nginx made of it. */
  readonly nginx: string;
}

/** Its shape is written in its note. */
function readCases<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../../../cases/http/${name}`, import.meta.url), "utf8")) as T;
}
const { cases } = readCases<{ readonly cases: readonly TargetCase[] }>("targets.json");
const { pieces } = readCases<{ readonly pieces: readonly string[] }>("pieces.json");

/** Sends a target as it is, and compares what every reader took it for; "" where nobody got it. */
async function passed(door: Door, target: string): Promise<string> {
  const before = door.seen.length;
  const answer = await get(door, target);
  const seen = door.seen.at(before);
  if (seen === undefined) {
    expect(answer).toMatch(/^HTTP\/1.1 (?:400|404|414) /);
    return "";
  }
  const judged = door.gate.calls.at(-1)?.http?.target;
  const sent = `${judged?.path}${judged?.query === "" ? "" : `?${judged?.query}`}`;
  expect(seen.url).toBe(`/base${sent}`);
  const url = new URL(seen.url, "http://upstream.example");
  expect(url.host).toBe("upstream.example");
  expect(url.pathname + url.search).toBe(seen.url);
  return sent;
}

describe("cases/http/targets.json", () => {
  test("every target goes on as stated or not at all, and the server, Node and nginx read what was judged", async () => {
    const door = await openDoor();
    // Nothing but an origin form can stand behind the upstream's name.
    for (const { target, sent, nginx } of cases.filter(({ target: text }) => text.startsWith("/"))) {
      expect([target, await passed(door, target)]).toEqual([target, sent ?? ""]);
      if (sent !== undefined) expect(decodeURIComponent(sent.split("?")[0] ?? "")).toBe(nginx);
    }
    expect(cases.length).toBeGreaterThan(100);
  });
});

test("whatever is asked for, what was judged is what the server sees and what Node's URL parser reads", async () => {
  const door = await openDoor();
  // What is not ASCII cannot be on a request line.
  const piece = fc.constantFrom(...pieces.filter((each) => /^[!-~]+$/.test(each)));
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 10 }).map((parts) => `/${parts.join("")}`),
      async (target) => void (await passed(door, target)),
    ),
    { numRuns: 300 },
  );
  expect(door.seen.length).toBeGreaterThan(30);
});

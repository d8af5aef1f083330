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

const { cases } = JSON.parse(
  readFileSync(new URL("../../../../../cases/http/targets.json", import.meta.url), "utf8"),
) as { readonly cases: readonly TargetCase[] }; // its shape is written in its note

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

const PIECES = [
  "/",
  "//",
  ".",
  "..",
  ";",
  "%2e",
  "%2E",
  "%2f",
  "%5C",
  "\\",
  "%25",
  "%252e",
  "%c0%ae",
  "%00",
  "%61",
  "a",
];
const MORE = ["b", "%7e", "~", "+", "%2b", "%20", "%C3%A9", "@", ":", "%3A", "?", "&", "=", "'", "#", "[", "*", "%2A"];

test("whatever is asked for, what was judged is what the server sees and what Node's URL parser reads", async () => {
  const door = await openDoor();
  const piece = fc.constantFrom(...PIECES, ...MORE);
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 10 }).map((pieces) => `/${pieces.join("")}`),
      async (target) => void (await passed(door, target)),
    ),
    { numRuns: 300 },
  );
  expect(door.seen.length).toBeGreaterThan(30);
});

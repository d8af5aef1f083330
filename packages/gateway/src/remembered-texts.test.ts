import { describe, expect, test } from "vitest";
import { createRememberedTexts } from "./remembered-texts.ts";

const MEBI = 1024 * 1024;

describe("remembered texts", () => {
  test("are made once, until they are not valid any more", () => {
    const lists = createRememberedTexts(1_000);
    let made = 0;
    const make = () => {
      made += 1;
      return { text: `[${made}]`, validUntilMs: made * 10 };
    };
    expect([lists.get("k", 0, make), lists.get("k", 9, make), lists.get("k", 10, make)]).toEqual(["[1]", "[1]", "[2]"]);
    expect(lists.get("other", 0, make)).toBe("[3]");
  });

  test("that are valid for no time are made each time", () => {
    const lists = createRememberedTexts(1_000);
    let made = 0;
    const make = () => {
      made += 1;
      return { text: String(made), validUntilMs: 0 };
    };
    expect([lists.get("k", 0, make), lists.get("k", 0, make)]).toEqual(["1", "2"]);
  });

  test("hold a bounded number of characters, and the one that was not used for longest goes first", () => {
    const lists = createRememberedTexts(3 * MEBI);
    let made: string[] = [];
    const get = (key: string, characters = MEBI - 10): void => {
      lists.get(key, 0, () => {
        made.push(key);
        return { text: "x".repeat(characters), validUntilMs: 1 };
      });
    };
    for (const key of ["a", "b", "c", "a", "d"]) get(key);
    expect(made).toEqual(["a", "b", "c", "d"]);
    made = [];
    for (const key of ["a", "c", "d", "b"]) get(key);
    expect(made).toEqual(["b"]);
    made = [];
    get("larger than all of them", 4 * MEBI);
    get("c");
    expect(made).toEqual(["larger than all of them"]);
  });
});

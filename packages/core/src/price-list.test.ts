import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createPriceList, UNLISTED_CREDITS } from "./price-list.ts";

test("a call costs what its own entry says, else the closest pattern's, else one credit", () => {
  const prices = createPriceList();
  expect(prices.creditsOf("bank", "pay")).toBe(UNLISTED_CREDITS);
  prices.put("1", { pattern: "*/*", credits: 2 });
  prices.put("2", { pattern: "bank/*", credits: 3 });
  prices.put("3", { pattern: "bank/pay-*", credits: 4 });
  prices.put("4", { pattern: "bank/pay", credits: 0 });
  prices.put("5", { pattern: "bank/GET /v1/*", credits: 6 });
  expect(["pay", "pay-out", "see", "GET /v1/rates"].map((name) => prices.creditsOf("bank", name))).toEqual([
    0, 4, 3, 6,
  ]);
  expect(prices.creditsOf("shop", "pay")).toBe(2);
  prices.remove("4");
  expect(prices.creditsOf("bank", "pay")).toBe(3);
  prices.put("2", { pattern: "shop/pay", credits: 9 });
  expect([prices.creditsOf("bank", "pay"), prices.creditsOf("shop", "pay")]).toEqual([2, 9]);
});

describe("of two entries that match", () => {
  const cases: readonly (readonly [why: string, wins: string, loses: string, upstream: string, name: string])[] = [
    ["what is exactly the name, with its stars", "shop/* /v1/*", "shop/* /v1/**", "shop", "* /v1/*"],
    ["what is exactly the name, with more stars", "shop/* /v1/**", "shop/* /v1/*", "shop", "* /v1/**"],
    ["what is written out", "shop/GET /v1/a", "shop/GET /v1/a*", "shop", "GET /v1/a"],
    ["the longer written part", "shop/GET /v1/*", "shop/* /v1/*", "shop", "GET /v1/a"],
    ["the longer written part, with more stars", "shop/*T /v1/*", "shop/GET *", "shop", "GET /v1/a"],
    ["the longer written part, in a shorter text", "shop/GET /*", "shop/G***** **", "shop", "GET /v1/ab"],
    ["fewer stars", "shop/* /v1/*", "shop/* /v1/**", "shop", "GET /v1/a"],
    ["fewer stars, whatever is around them", "shop/GET*", "sh*op/G*ET*", "shop", "GET /v1/a"],
    ["the upstream that is written out", "bank/*", "*/bank", "bank", "bank"],
    ["the text that comes first", "bank/*b", "bank/b*", "bank", "b"],
  ];
  test.each(cases)("the cost is that of %s", (_why, wins, loses, upstream, name) => {
    for (const [first, second] of [
      [wins, loses],
      [loses, wins],
    ]) {
      const prices = createPriceList();
      prices.put("1", { pattern: first ?? "", credits: first === wins ? 7 : 3 });
      prices.put("2", { pattern: second ?? "", credits: second === wins ? 7 : 3 });
      expect(prices.creditsOf(upstream, name)).toBe(7);
      // The other one is there, too.
      prices.remove(first === wins ? "1" : "2");
      expect(prices.creditsOf(upstream, name)).toBe(3);
    }
  });
});

test("the order in which entries were made, and what was asked before, change no price", () => {
  const part = fc.stringMatching(/^[ab*]{1,3}$/);
  const price = fc.record({ pattern: fc.tuple(part, part).map(([a, b]) => `${a}/${b}`), credits: fc.nat({ max: 9 }) });
  const name = fc.stringMatching(/^[ab]{1,3}$/);
  fc.assert(
    fc.property(
      fc.uniqueArray(price, { selector: ({ pattern }) => pattern, maxLength: 8 }),
      fc.array(fc.tuple(name, name), { minLength: 1, maxLength: 8 }),
      (list, asked) => {
        const [forwards, backwards] = [createPriceList(), createPriceList()];
        for (const [index, each] of list.entries()) {
          forwards.put(String(index), each);
          for (const [upstream, tool] of asked) forwards.creditsOf(upstream, tool);
        }
        for (const [index, each] of [...list].reverse().entries()) backwards.put(String(index), each);
        for (const [upstream, tool] of asked) {
          expect(forwards.creditsOf(upstream, tool)).toBe(backwards.creditsOf(upstream, tool));
        }
      },
    ),
  );
});

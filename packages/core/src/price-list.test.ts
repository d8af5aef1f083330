import fc from "fast-check";
import { expect, test } from "vitest";
import { createPriceList, UNLISTED_CREDITS } from "./price-list.ts";

test("a call costs what its own entry says, else the longest pattern, else one credit", () => {
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

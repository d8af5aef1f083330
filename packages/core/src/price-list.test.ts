import { compileHttpPattern } from "@writ/contract";
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

describe("a request costs what the closest pattern of its method and path says, whatever route it takes", () => {
  const cases: readonly (readonly [
    credits: number,
    request: string,
    ...entries: (readonly [pattern: string, credits: number])[],
  ])[] = [
    [7, "POST /pay", ["api/POST /pay", 7], ["api/* /**", 3]],
    [3, "GET /pay", ["api/POST /pay", 7], ["api/* /**", 3]],
    [1, "GET /pay", ["api/POST /pay", 7]],
    [7, "POST /pay/", ["api/POST /pay", 7], ["api/* /**", 3]],
    [7, "POST /pay", ["api/POST /pay/", 7]],
    [7, "POST /pay", ["api/POST /p%61y", 7]],
    [7, "POST /p%C3%A4y/1", ["api/POST /p%c3%a4y/*", 7]],
    [1, "POST /a%2Ab", ["api/POST /%2A", 7]],
    [7, "POST /pay/1", ["api/POST /pay/*", 7], ["api/POST *", 5], ["*/*", 3]],
    [7, "POST /pay/1/2", ["api/POST /pay/*", 7]],
    [7, "GET /v1", ["api/* /v1/**", 7], ["api/* /**", 3]],
    [7, "GET /v1", ["api/GET /v1", 7], ["api/GET /v1/**", 3]],
    [7, "GET /v1", ["*/GET /v1", 7], ["*/GET /v1/**", 3]],
    [3, "GET /v10", ["api/* /v1/**", 7], ["api/* /**", 3]],
    [7, "GET /", ["api/* /**", 7]],
    [7, "HEAD /v1/a", ["api/GET,HEAD /v1/*", 7], ["api/* /v1/*", 3]],
    [7, "HEAD /v1/a", ["api/GET,HEAD *", 7]],
    [3, "PUT /v1/a", ["api/GET,HEAD /v1/*", 7], ["*/*", 3]],
    [7, "HEAD /v1/a", ["api/HEAD /v1/a", 7], ["api/GET,HEAD /v1/a", 3]],
    [7, "GET /v1/a/b", ["api/GET /v1/a/*", 7], ["api/GET,HEAD,OPTIONS /v1/*", 3]],
    [7, "GET /v1/a", ["api/G*T /v1/*", 7], ["api/* /v1/*", 3]],
    [7, "GET /v1/a", ["api/* /v1/*", 7], ["*/* /v1/a", 3]],
    [0, "GET /v1/a", ["api/GET /v1/a", 0], ["*/*", 3]],
    [3, "GET /v1/a", ["other/GET /v1/a", 7], ["*/*", 3]],
  ];
  test.each(cases.map(([credits, request, ...entries]) => ({ credits, request, entries })))(
    "$credits credits for $request beside $entries",
    ({ credits, request, entries }) => {
      const [method = "", path = ""] = request.split(" ");
      for (const list of [entries, [...entries].reverse()]) {
        const prices = createPriceList();
        for (const [index, [pattern, each]] of list.entries()) prices.put(String(index), { pattern, credits: each });
        expect(prices.creditsOf("api", "* /**", { method, path })).toBe(credits);
      }
    },
  );

  test("an entry for a route's own pattern counts for all that takes the route", () => {
    const method = fc.constantFrom("GET", "POST", "HEAD");
    const methods = fc.oneof(
      fc.constant("*"),
      fc.uniqueArray(method, { minLength: 1 }).map((each) => each.join()),
    );
    const segments = (segment: fc.Arbitrary<string>) =>
      fc.array(segment, { maxLength: 3 }).map((each) => each.map((text) => `/${text}`).join(""));
    const segment = fc.constantFrom("a", "ab", "%7Ea", "~a", "%C3%A4");
    const path = fc.tuple(segments(fc.oneof(segment, fc.constant("*"))), fc.constantFrom("", "/", "/**"));
    const sent = segments(fc.constantFrom("a", "ab", "~a", "%C3%A4"));
    fc.assert(
      fc.property(methods, path, method, sent, fc.boolean(), (many, [start, end], one, asked, hasSlash) => {
        const route = `${many} ${start}${end}`;
        const http = { method: one, path: hasSlash || asked === "" ? `${asked}/` : asked };
        fc.pre(compileHttpPattern(route)?.matches(http.method, http.path) === true);
        const prices = createPriceList();
        prices.put("1", { pattern: `api/${route}`, credits: 7 });
        expect(prices.creditsOf("api", route, http)).toBe(7);
      }),
    );
  });
});

test("a name too long to be remembered costs the same, each time", () => {
  const prices = createPriceList();
  prices.put("1", { pattern: "api/POST /long/*", credits: 7 });
  const path = `/long/${"x".repeat(10_000)}`;
  for (let turn = 0; turn < 2; turn += 1) {
    expect(prices.creditsOf("api", "", { method: "POST", path })).toBe(7);
    expect(prices.creditsOf("api", "", { method: "GET", path })).toBe(UNLISTED_CREDITS);
    expect(prices.creditsOf("api", `POST ${path}`)).toBe(7);
  }
});

test("of many entries that one is found which is found when nothing is indexed", () => {
  const text = fc.stringMatching(/^[ab*]{1,4}$/);
  const name = fc.stringMatching(/^[ab]{1,4}$/);
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(text, text), { maxLength: 12 }), name, name, (entries, upstream, tool) => {
      const prices = createPriceList();
      for (const [index, [a, b]] of entries.entries())
        prices.put(String(index), { pattern: `${a}/${b}`, credits: index });
      // Whatever is taken out, and is not the answer, changes nothing; what is left at the end is the answer alone.
      const credits = prices.creditsOf(upstream, tool);
      const matching = entries.flatMap(([a, b], index) => {
        const glob = (part: string): RegExp => new RegExp(`^${part.replaceAll("*", ".*")}$`);
        return glob(a).test(upstream) && glob(b).test(tool) ? [index] : [];
      });
      if (matching.length === 0) expect(credits).toBe(UNLISTED_CREDITS);
      else expect(matching).toContain(credits);
      for (const index of entries.keys()) if (index !== credits) prices.remove(String(index));
      expect(prices.creditsOf(upstream, tool)).toBe(credits);
    }),
  );
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

import { expect, test } from "vitest";
import { describeShare } from "./try-policy.ts";

const NONE = { name: 0, gone: 0, policy: 0 };

test.each([
  [
    "nothing but the share, when all is recomputed",
    { calls: 3, allowed: 2, denied: 1, dependsOnArguments: 0, unknownBecause: NONE },
    ["Recomputed 3 of 3 calls (100 %)."],
  ],
  [
    "how many calls are on names that the log holds as digests, and that rules may deny them",
    { calls: 12, allowed: 1, denied: 0, dependsOnArguments: 0, unknownBecause: { ...NONE, name: 11 } },
    [
      "Recomputed 1 of 12 calls (8 %).",
      "Not recomputed: 11. These rules may allow or deny them; only observation tells.",
      "  11  The log holds what it was on (a resource, a prompt, a path, a name of no tool) as a salted digest.",
    ],
  ],
  [
    "each cause with its count, which add up",
    { calls: 10, allowed: 0, denied: 0, dependsOnArguments: 4, unknownBecause: { name: 3, gone: 2, policy: 1 } },
    [
      "Recomputed 0 of 10 calls (0 %).",
      "Not recomputed: 10. These rules may allow or deny them; only observation tells.",
      "   3  The log holds what it was on (a resource, a prompt, a path, a name of no tool) as a salted digest.",
      "   4  It depends on arguments, which the log holds as a salted digest.",
      "   2  Who made it is not on record any more.",
      "   1  The rules fail.",
    ],
  ],
])("a report on proposed rules says %s", (_what, totals, lines) => {
  expect(describeShare(totals).trimEnd().split("\n")).toEqual(lines);
});

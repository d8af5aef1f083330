import type { BudgetClaim } from "@writ/contract";
import { expect, test } from "vitest";
import { ownClaims, writeBudgetHeader } from "./budget-left.ts";

function claimOf(options: Partial<BudgetClaim>): BudgetClaim {
  return {
    counter: "c",
    scope: "node",
    scopeId: "n",
    unit: "calls",
    window: "total",
    windowStartMs: 0,
    windowEndMs: Number.MAX_SAFE_INTEGER,
    amount: 1,
    limit: 10,
    mode: "hard",
    ...options,
  };
}

test("only hard limits of its own nodes and agent are an agent's own", () => {
  const own = [claimOf({}), claimOf({ scope: "agent", scopeId: "a" })];
  const others = [
    claimOf({ scope: "agent", scopeId: "parent" }),
    claimOf({ scope: "principal", scopeId: "a" }),
    claimOf({ scope: "tenant", scopeId: "a" }),
    claimOf({ scope: "tool", scopeId: "a" }),
    claimOf({ scope: "upstream", scopeId: "a" }),
    claimOf({ mode: "soft" }),
    claimOf({ mode: "shadow" }),
  ];
  const claims = [...others, ...own];
  expect(ownClaims(claims, "a")).toEqual(own);
  expect(ownClaims(claims, "a")).toBe(ownClaims(claims, "a"));
});

test("the header tells of the four limits with the least share left, the least first", () => {
  const left = [9, 3, 5, 1, 12, 7].map((used, index) => ({
    claim: claimOf({ scopeId: `n${index}`, limit: index === 1 ? 4 : 10 }),
    used,
    windowStartMs: 0,
  }));
  const remaining = [...(writeBudgetHeader(left)["writ-budget"] ?? "").matchAll(/remaining=(\d+)/g)];
  expect(remaining.map(([, number]) => number)).toEqual(["0", "1", "1", "3"]);
});

test("the header says when a window ends, and nothing where no limit is the agent's own", () => {
  const claim = claimOf({ scope: "agent", unit: "credits", window: "day", windowEndMs: 1_790_000_000_000 });
  expect(writeBudgetHeader([{ claim, used: 4, windowStartMs: 0 }])).toEqual({
    "writ-budget": "agent;unit=credits;window=day;limit=10;remaining=6;resets=1790000000",
  });
  expect(writeBudgetHeader([])).toEqual({});
});

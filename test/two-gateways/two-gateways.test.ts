import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHANGES, proveAuthorityChange } from "./authority-changes.ts";
import { proveBulk } from "./bulk-commands.ts";
import {
  proveAttenuationRate,
  proveCarves,
  proveCounterBound,
  proveDepth,
  proveDescendants,
  proveFreshTokens,
  proveInstanceKill,
} from "./children.ts";
import { proveCredits } from "./credits.ts";
import { type BudgetCase, proveExactBudget } from "./exact-budgets.ts";
import { type Fleet, startFleet } from "./fleet.ts";
import { proveLostDatabase } from "./lost-database.ts";
import { proveOneKey } from "./one-key.ts";
import { proveDividedRate } from "./rates.ts";

/** The same proofs at full size are test/soak/two-gateways.ts. */
describe("two gateways on one Postgres", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet();
  });
  afterAll(async () => {
    await fleet?.close();
  });

  it.each<BudgetCase>([
    { scope: "agent", window: "total", mode: "hard" },
    { scope: "node", window: "total", mode: "hard" },
    { scope: "tenant", window: "month", mode: "hard" },
  ])(
    "R-BUDGET-1 I7 8 clients of 1,000 calls are admitted exactly as often as a budget of $scope and $window holds",
    async (budget) => {
      const report = await proveExactBudget(fleet, budget, { clients: 8, callsPerClient: 1_000, limit: 2_500 });
      expect(report).toMatchObject({ calls: 8_000, admitted: 2_500 });
    },
  );

  it.each<BudgetCase>([
    { scope: "node", window: "day", mode: "hard" },
    { scope: "tool", window: "hour", mode: "hard" },
    { scope: "upstream", window: "week", mode: "hard" },
    { scope: "principal", window: "day", mode: "hard" },
  ])("I7 a budget of $scope and $window is exact over both", async (budget) => {
    await proveExactBudget(fleet, budget, { clients: 8, callsPerClient: 60, limit: 100 });
  });

  it.each<BudgetCase>([
    { scope: "agent", window: "day", mode: "soft" },
    { scope: "agent", window: "total", mode: "shadow" },
  ])("a $mode budget admits every call and counts it", async (budget) => {
    const report = await proveExactBudget(fleet, budget, { clients: 8, callsPerClient: 60, limit: 100 });
    expect(report.admitted).toBe(480);
  });

  it("R-BUDGET-1 I7 a budget of credits is exact over both, whatever mix of tools, routes and carves draws on it", async () => {
    const report = await proveCredits(fleet, { clients: 6, callsPerClient: 90, limit: 1_000 });
    expect(Math.min(report.tools, report.routes)).toBeGreaterThan(0);
    expect(report.credits).toBeGreaterThan(1_000 - 3);
  });

  it("trap-07 of the calls that name one key at both, one is made", async () => {
    const report = await proveOneKey(fleet, { keys: 10, calls: 8 });
    expect(report).toEqual({ calls: 80, answered: 10, duplicates: 70 });
  });

  it.each(CHANGES)(
    "R-STALE-1 R-STALE-2 I5 once a command has returned (%s), nothing that it covers is committed, sent or streamed",
    async (change) => {
      const report = await proveAuthorityChange(fleet, change, 5);
      expect(report.allowed).toBeGreaterThan(0);
    },
  );

  it("R-EVIDENCE-3 I5 a gateway without its database cuts what is open, sends nothing and recovers", async () => {
    const report = await proveLostDatabase(fleet, 0);
    expect(report.deniedMeanwhile).toBeGreaterThan(0);
  });

  it("a bulk of 500 commands does not starve calls", async () => {
    const report = await proveBulk(fleet, 500);
    expect(report.callsDuring).toBeGreaterThan(0);
  });

  it("I5 the instance's kill switch binds every tenant on both", () => proveInstanceKill(fleet, 3));

  it("I5 a revoked node ends everything below it on both, on record or not", () =>
    proveDescendants(fleet, { recorded: 40, unrecorded: 400 }));

  it("a token works on both the moment it was minted, under a key the moment it was rotated", () =>
    proveFreshTokens(fleet, 3));

  it.each(["total", "day"] as const)(
    "a budget carved over %s is exact over both and comes back on revocation",
    (window) => proveCarves(fleet, window),
  );

  it("trap-51 depth bounds recorded delegation on both", () => proveDepth(fleet));

  it("trap-63 holders cannot make more counters than the tenant permits", () => proveCounterBound(fleet));

  it("a rate is divided by the gateways that are alive, and each tells its part", async () => {
    expect(await proveDividedRate(fleet)).toEqual({ admitted: [10, 10] });
  });

  it("the recording of children has a rate of its own for each root", () => proveAttenuationRate(fleet));
});

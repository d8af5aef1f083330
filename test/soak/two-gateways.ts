/** The proofs of test/two-gateways at full size, on one Postgres with two gateways. Prints what each measured. */
import { CHANGES, proveAuthorityChange } from "../two-gateways/authority-changes.ts";
import { proveBulk } from "../two-gateways/bulk-commands.ts";
import {
  proveAttenuationRate,
  proveCarves,
  proveCounterBound,
  proveDepth,
  proveDescendants,
  proveFreshTokens,
  proveInstanceKill,
} from "../two-gateways/children.ts";
import { proveCredits } from "../two-gateways/credits.ts";
import { type BudgetCase, proveExactBudget } from "../two-gateways/exact-budgets.ts";
import { startFleet } from "../two-gateways/fleet.ts";
import { proveLostDatabase } from "../two-gateways/lost-database.ts";

const BUDGETS: readonly BudgetCase[] = [
  { scope: "agent", window: "total", mode: "hard" },
  { scope: "node", window: "total", mode: "hard" },
  { scope: "node", window: "day", mode: "hard" },
  { scope: "tool", window: "hour", mode: "hard" },
  { scope: "upstream", window: "week", mode: "hard" },
  { scope: "principal", window: "day", mode: "hard" },
  { scope: "tenant", window: "month", mode: "hard" },
  { scope: "agent", window: "day", mode: "soft" },
  { scope: "agent", window: "total", mode: "shadow" },
];
const BUDGET_SIZE = { clients: 8, callsPerClient: 10_000, limit: 25_000 };
const CHANGE_ROUNDS = 100;
const LOST_ROUNDS = 10;
const BULK_COMMANDS = 5_000;

/** Throws at the first proof that fails. */
export async function soakTwoGateways(say: (line: string) => void): Promise<void> {
  const fleet = await startFleet();
  const prove = async (name: string, run: () => Promise<unknown>): Promise<void> => {
    const from = performance.now();
    const report = await run();
    const seconds = ((performance.now() - from) / 1_000).toFixed(1);
    say(`two gateways · ${name} · ${seconds} s · ${JSON.stringify(report ?? {})}`);
  };
  try {
    for (const budget of BUDGETS) {
      const { scope, window, mode } = budget;
      await prove(`budget ${scope} ${window} ${mode}`, () => proveExactBudget(fleet, budget, BUDGET_SIZE));
    }
    await prove("credits", () => proveCredits(fleet, { clients: 8, callsPerClient: 10_000, limit: 100_000 }));
    for (const change of CHANGES) await prove(change, () => proveAuthorityChange(fleet, change, CHANGE_ROUNDS));
    for (let round = 0; round < LOST_ROUNDS; round += 1) {
      await prove("lost database", () => proveLostDatabase(fleet, round));
    }
    await prove("bulk", () => proveBulk(fleet, BULK_COMMANDS));
    await prove("instance kill", () => proveInstanceKill(fleet, 50));
    await prove("descendants", () => proveDescendants(fleet, { recorded: 100, unrecorded: 10_000 }));
    await prove("fresh tokens and keys", () => proveFreshTokens(fleet, 100));
    for (const window of ["total", "day"] as const) await prove(`carves ${window}`, () => proveCarves(fleet, window));
    await prove("depth", () => proveDepth(fleet));
    await prove("bound of counters", () => proveCounterBound(fleet));
    await prove("rate of recordings", () => proveAttenuationRate(fleet));
  } finally {
    await fleet.close();
  }
}

if (import.meta.main) await soakTwoGateways((line) => process.stdout.write(`${line}\n`));

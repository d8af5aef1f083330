/**
 * `npm run soak [NAME…]`: the proofs at their full size, one after the other; all of them, or those named. Ends with a
 * code other than 0 when one of them fails.
 */
import { soakCrash } from "./crash.ts";
import { soakDecisions } from "./decisions.ts";
import { soakInput } from "./input.ts";
import { soakSessions } from "./sessions.ts";
import { soakTwoGateways } from "./two-gateways.ts";

/** One line a proof. */
const SOAKS: Readonly<Record<string, (say: (line: string) => void) => Promise<void>>> = {
  crash: soakCrash,
  decisions: soakDecisions,
  input: soakInput,
  sessions: soakSessions,
  "two-gateways": soakTwoGateways,
};

const wanted = process.argv.slice(2);
let failed = 0;
for (const [name, soak] of Object.entries(SOAKS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const startedAt = performance.now();
  const minutes = (): string => `${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes`;
  try {
    await soak((line) => process.stdout.write(`${line}\n`));
    process.stdout.write(`${name}: passed in ${minutes()}\n`);
  } catch (error) {
    // The failure of one proof is said here, and the others still run.
    failed += 1;
    process.stdout.write(
      `${name}: FAILED after ${minutes()}: ${error instanceof Error ? error.message : String(error)}\n`,
    );
  }
}
process.exit(failed === 0 ? 0 : 1);

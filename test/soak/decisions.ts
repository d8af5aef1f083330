/** That no attenuation widens a decision, and that observing changes nothing else, at the size of a soak. */
import { runProperties } from "./run-properties.ts";

const SIZES = [
  { project: "unit", part: "packages/core/src/narrowing.property", runs: 1_000_000 },
  { project: "unit", part: "packages/core/src/observe-mode.property", runs: 100_000 },
] as const;

export function soakDecisions(say: (line: string) => void): Promise<void> {
  return runProperties("decisions", SIZES, say);
}

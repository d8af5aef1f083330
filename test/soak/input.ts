/** Bad input, parser agreement and the fault sweep at the size of a soak. */
import { runProperties } from "./run-properties.ts";

/** The routes of the admin API are many, so each has fewer runs. */
const SIZES = [
  { project: "whole", part: "test/differential", runs: 1_000_000 },
  { project: "whole", part: "test/bad-input/listener", runs: 3_000 },
  { project: "whole", part: "test/bad-input/files", runs: 100_000 },
  { project: "whole", part: "test/bad-input/admin-api", runs: 300 },
  { project: "whole", part: "test/fault-sweep", runs: 1 },
] as const;

export function soakInput(say: (line: string) => void): Promise<void> {
  return runProperties("input", SIZES, say);
}

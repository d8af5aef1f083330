/** Compiles policy documents for the state, and remembers what it compiled: a load or an epoch compiles nothing anew. */
import type { StateOptions } from "@writ/core";
import { compileRules } from "@writ/policy";
import { sha256 } from "./sha256.ts";

/** Compiled documents remembered; the oldest goes first. */
const COMPILED_MAX = 256;

export function createStateOptions(): StateOptions {
  const compiled = new Map<string, ReturnType<StateOptions["compilePolicy"]>>();
  return {
    sha256,
    compilePolicy(policy) {
      const known = compiled.get(policy.digest);
      if (known !== undefined) return known;
      const result = compileRules(policy.source, { digest: policy.digest });
      const kept: ReturnType<StateOptions["compilePolicy"]> =
        result.kind === "compiled"
          ? { kind: "compiled", policy: result.policy }
          : { kind: "problems", problems: result.problems };
      compiled.set(policy.digest, kept);
      if (compiled.size > COMPILED_MAX) {
        for (const oldest of compiled.keys()) {
          compiled.delete(oldest);
          break;
        }
      }
      return kept;
    },
  };
}

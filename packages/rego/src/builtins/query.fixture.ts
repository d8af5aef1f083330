/** Evaluates a query as a policy would, for tests of built-ins; errors of built-ins end it, and come as text. */
import { compile, type EvaluateOptions, plainJsonOf } from "../index.ts";
import { nodeCryptography } from "../node.ts";

/** The time of such evaluations: 2024-02-29T12:00:00Z. */
export const NOW_NS = 1_709_208_000_000_000_000n;

const compiled = compile([]);
const cryptography = nodeCryptography();

/** The query's value as plain JSON; `"undefined"`, or `"error: …"`, where it has none. */
export function valueOfQuery(query: string, options: EvaluateOptions = {}): unknown {
  if (compiled.kind === "problems") throw new TypeError("an empty program has problems");
  const answer = compiled.program.evaluate(query, {
    timeNs: NOW_NS,
    cryptography,
    strictBuiltinErrors: true,
    ...options,
  });
  switch (answer.kind) {
    case "value":
      return plainJsonOf(answer.value);
    case "undefined":
      return "undefined";
    case "error":
      return `error: ${answer.error.message}`;
  }
}

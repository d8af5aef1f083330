/** Puts stored values where a request gives back what views show instead of them. Stores and shows nothing itself. */
import type { UpstreamTransport } from "@writ/contract";
import { Problem } from "../problem.ts";
import { VALUE_HIDDEN } from "../queries/make-upstream-view.ts";

/**
 * The given transport with each value that is exactly `***` replaced by the stored one of that name. Problem
 * `reference_unknown` when none is stored: a child must not be started with the mask for its key.
 */
export function fillEnvironment(given: UpstreamTransport, stored: UpstreamTransport | undefined): UpstreamTransport {
  if (given.type !== "stdio") return given;
  const kept = stored?.type === "stdio" ? stored.env : {};
  const entries = Object.entries(given.env).map(([name, value]): [string, string] => {
    if (value !== VALUE_HIDDEN) return [name, value];
    const keptValue = Object.hasOwn(kept, name) ? kept[name] : undefined;
    if (keptValue === undefined) {
      throw new Problem(
        "reference_unknown",
        `transport.env gives ${name} as ${VALUE_HIDDEN}, and no value of it is stored.`,
      );
    }
    return [name, keptValue];
  });
  return { ...given, env: Object.fromEntries(entries) };
}

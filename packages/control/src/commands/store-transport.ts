/**
 * Makes of the transport that a request gives the one that is stored: values of the environment wrapped, and the stored
 * value where the request gives back what views show instead of it. Stores and shows nothing itself.
 */
import type { StoredTransport, UpstreamTransport, WrappedSecret } from "@writ/contract";
import { openEnvironmentValue, UnwrapError, type UpstreamPlace, wrapEnvironmentValue } from "@writ/runtime";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { VALUE_HIDDEN } from "../queries/make-upstream-view.ts";

/**
 * Problem `reference_unknown` when a value is exactly `***` and none of that name is stored: a child must not be started
 * with the mask for its key. A value that is stored already is kept as it is, so that giving it again changes nothing.
 */
export function storeTransport(
  context: Pick<ControlContext, "keyring" | "random">,
  place: UpstreamPlace,
  given: UpstreamTransport,
  stored: StoredTransport | undefined,
): StoredTransport {
  if (given.type !== "stdio") return given;
  const kept = stored?.type === "stdio" ? stored.env : {};
  const entries = Object.entries(given.env).map(([name, value]): [string, WrappedSecret] => {
    const keptValue = Object.hasOwn(kept, name) ? kept[name] : undefined;
    if (value === VALUE_HIDDEN && keptValue === undefined) {
      throw new Problem(
        "reference_unknown",
        `transport.env gives ${name} as ${VALUE_HIDDEN}, and no value of it is stored.`,
      );
    }
    const at = { ...place, name };
    if (keptValue !== undefined && (value === VALUE_HIDDEN || isValue(context, at, keptValue, value))) {
      return [name, keptValue];
    }
    return [name, wrapEnvironmentValue(context.keyring, at, value, context.random.bytes(12))];
  });
  return { ...given, env: Object.fromEntries(entries) };
}

function isValue(
  { keyring }: Pick<ControlContext, "keyring">,
  place: UpstreamPlace & { readonly name: string },
  stored: WrappedSecret,
  value: string,
): boolean {
  try {
    return openEnvironmentValue(keyring, place, stored) === value;
  } catch (error) {
    // Of another master key: that failure becomes "not the same", and the given value takes its place.
    if (error instanceof UnwrapError) return false;
    throw error;
  }
}

/** Opens the stored values of a child's environment, for each child that starts; keeps none of them. */
import type { WrappedSecret } from "@writ/contract";
import { type Keyring, openEnvironmentValue, type UpstreamPlace } from "@writ/runtime";
import { Failure } from "../ports.ts";

/** Failure `upstream_unavailable` when a value does not open. */
export type OpenEnvironment = (
  place: UpstreamPlace,
  env: Readonly<Record<string, WrappedSecret>>,
) => Readonly<Record<string, string>>;

export function createOpenEnvironment(keyring: Pick<Keyring, "unwrap">): OpenEnvironment {
  return ({ tenantId, upstreamId }, env) => {
    const entries = Object.entries(env).map(([name, value]): [string, string] => {
      try {
        return [name, openEnvironmentValue(keyring, { tenantId, upstreamId, name }, value)];
      } catch (error) {
        // A failure of the keyring (another master key): a child is not started without what it was to be given.
        const detail = `the value of ${name} in its environment does not open with this master key`;
        throw new Failure("upstream_unavailable", detail, { cause: error });
      }
    });
    return Object.fromEntries(entries);
  };
}

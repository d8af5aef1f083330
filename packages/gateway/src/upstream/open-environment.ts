/**
 * Opens the stored values of a child's environment, for each child that starts, and says which of them are secrets. Keeps
 * none of them.
 */
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

/** By what every system means by them these hold no secret, and a child may have to tell them. */
const PLAIN_NAMES =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|TERM|TZ|TMPDIR|PWD|LANG|LANGUAGE|LC_[A-Z]+|XDG_[A-Z_]+|NODE_ENV|NODE_PATH|PYTHONPATH|LOG_LEVEL)$/;

/**
 * Which values are masked in what the child says. An environment is where a child gets its keys, so all of it is secret
 * but for variables of a few names; what is neither secret nor one of those belongs among its arguments.
 */
export function secretsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(environment).flatMap(([name, value]) => (PLAIN_NAMES.test(name) ? [] : [value]));
}

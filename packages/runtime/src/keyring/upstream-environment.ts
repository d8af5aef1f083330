/**
 * Values of a stdio upstream's environment, which are keys of other services: the control plane stores them wrapped,
 * the gateway opens them when it starts the child. Each is bound to its tenant, upstream and name.
 */
import type { Keyring, SecretPlace } from "./keyring.ts";

/** As the contract's `WrappedSecret`, which this package does not import. */
interface WrappedValue {
  readonly wrapped: string;
}

export interface UpstreamPlace {
  readonly tenantId: string;
  readonly upstreamId: string;
}

/** `nonce` as `Keyring.wrap` wants it: 12 random bytes, never used again. */
export function wrapEnvironmentValue(
  keyring: Pick<Keyring, "wrap">,
  place: UpstreamPlace & { readonly name: string },
  value: string,
  nonce: Uint8Array,
): WrappedValue {
  return { wrapped: keyring.wrap(secretPlace(place), Buffer.from(value, "utf8"), nonce) };
}

/** Throws `UnwrapError` when the value was not wrapped by this master key for this place. */
export function openEnvironmentValue(
  keyring: Pick<Keyring, "unwrap">,
  place: UpstreamPlace & { readonly name: string },
  { wrapped }: WrappedValue,
): string {
  return Buffer.from(keyring.unwrap(secretPlace(place), wrapped)).toString("utf8");
}

/** Names of variables hold no slash, so that no two places have the same id. */
function secretPlace({ tenantId, upstreamId, name }: UpstreamPlace & { readonly name: string }): SecretPlace {
  return { tenantId, kind: "upstream_environment", id: `${upstreamId}/${name}` };
}

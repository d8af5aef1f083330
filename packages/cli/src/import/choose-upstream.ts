/**
 * Names an entry's upstream: the one that is there already and leads to the same with the same secrets, or a new one
 * whose name is free. Nobody is given what acts with another's credentials because it could not be told apart. Pure.
 */
import type { UpstreamTransport } from "@writ/contract";
import type { EntryPlan } from "./plan-entry.ts";

export type Importable = Extract<EntryPlan, { readonly kind: "import" }>;

export interface KnownUpstream {
  readonly name: string;
  readonly transport: UpstreamTransport;
  /** Its secrets as `secretsOf` has them; undefined when they cannot be seen from here. */
  readonly secrets: string | undefined;
}

export type UpstreamChoice =
  | { readonly kind: "there"; readonly name: string }
  /** `unlike`: one that leads to the same with other secrets. */
  | { readonly kind: "new"; readonly name: string; readonly unlike?: string }
  /** It leads to the same, and whether with the same secrets cannot be seen. */
  | { readonly kind: "unseen"; readonly name: string };

const NAME_LENGTH_MAX = 63;
const SUFFIX_MAX = 99;

/** Of the entry's own name what an upstream's may be; what is taken by another upstream gets `-2`, `-3`, … */
export function chooseUpstream(
  entryName: string,
  plan: Importable,
  known: ReadonlyMap<string, KnownUpstream>,
): UpstreamChoice | undefined {
  const base =
    entryName
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-+|-+$/g, "")
      .slice(0, NAME_LENGTH_MAX - 3) || "server";
  let unlike: string | undefined;
  for (let number = 1; number <= SUFFIX_MAX; number += 1) {
    const name = number === 1 ? base : `${base}-${number}`;
    const there = known.get(name);
    if (there === undefined) return { kind: "new", name, ...(unlike === undefined ? {} : { unlike }) };
    if (!leadsToSame(there.transport, plan)) continue;
    const secrets = secretsOf(plan);
    if (secrets === there.secrets || secrets === NO_SECRETS) return { kind: "there", name };
    if (there.secrets === undefined) return { kind: "unseen", name };
    unlike ??= name;
  }
  return undefined;
}

/** What is secret in an entry, in an order of its own: values of its environment, headers and parameters of its URL. */
export function secretsOf({ transport, credentials }: Pick<Importable, "transport" | "credentials">): string {
  const environment = transport.type === "stdio" ? Object.entries(transport.env) : [];
  return JSON.stringify([
    ...environment.map(([name, value]) => ["env", name, value]).sort(compare),
    ...credentials.map(({ in: place, name, prefix = "", value }) => [place, name, `${prefix}${value}`]).sort(compare),
  ]);
}

const NO_SECRETS = "[]";

function compare(one: readonly string[], other: readonly string[]): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1;
}

/** As far as the admin API shows it: values of an environment and of credentials it does not. */
function leadsToSame(there: UpstreamTransport, { transport, credentials }: Importable): boolean {
  if (there.type === "stdio" && transport.type === "stdio") {
    return (
      there.command === transport.command &&
      JSON.stringify(there.args) === JSON.stringify(transport.args) &&
      there.cwd === transport.cwd &&
      JSON.stringify(Object.keys(there.env).sort()) === JSON.stringify(Object.keys(transport.env).sort())
    );
  }
  if (there.type !== "http" || transport.type !== "http") return false;
  const places = (given: readonly { readonly in: string; readonly name: string }[]): string =>
    JSON.stringify(given.map((each) => `${each.in} ${each.name}`).sort());
  return there.url === transport.url && places(there.credentials ?? []) === places(credentials);
}

/** Names an entry's upstream: the one that is there already and leads to the same, or a new one whose name is free. Pure. */
import type { UpstreamTransport } from "@writ/contract";
import type { EntryPlan } from "./plan-entry.ts";

export type Importable = Extract<EntryPlan, { readonly kind: "import" }>;

export interface KnownUpstream {
  readonly name: string;
  readonly transport: UpstreamTransport;
}

export type UpstreamChoice = { readonly kind: "there" | "new"; readonly name: string };

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
  for (let number = 1; number <= SUFFIX_MAX; number += 1) {
    const name = number === 1 ? base : `${base}-${number}`;
    const there = known.get(name);
    if (there === undefined) return { kind: "new", name };
    if (isSame(there.transport, plan)) return { kind: "there", name };
  }
  return undefined;
}

/** As far as the admin API shows it: values of an environment and of credentials it does not. */
function isSame(there: UpstreamTransport, { transport, credentials }: Importable): boolean {
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

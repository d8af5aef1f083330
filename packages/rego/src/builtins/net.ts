/** Built-ins on addresses and networks; none of them reaches one. */
import { ANY, arrayOf, BOOLEAN, dictionaryOf, STRING, setOf, tupleOf, unionOf } from "../types.ts";
import { isArray, isObject, isSet, sortedEntries, type Value, ValueSet } from "../value.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  BuiltinError,
  builtin,
  builtinError,
  operandError,
  stringOperand,
} from "./builtin.ts";
import {
  type Address,
  lastOf,
  mergeNetworks,
  type Network,
  networkHas,
  networkOf,
  parseAddress,
  parseNetwork,
  writeAddress,
  writeNetwork,
} from "./ip.ts";

const NETWORK = unionOf(STRING, arrayOf(ANY));
const NETWORKS = unionOf(STRING, arrayOf(NETWORK), setOf(NETWORK), dictionaryOf(STRING, NETWORK));

export const NET: readonly Builtin[] = [
  builtin("net.cidr_contains", [STRING, STRING], BOOLEAN, (_, network, other) =>
    contains(networkOperand(network, 1), stringOperand(other, 2)),
  ),
  builtin("net.cidr_intersects", [STRING, STRING], BOOLEAN, (_, a, b) => {
    const first = networkOperand(a, 1);
    const second = networkOperand(b, 2);
    return first.bits === second.bits && first.first <= lastOf(second) && second.first <= lastOf(first);
  }),
  builtin(
    "net.cidr_overlap",
    [STRING, STRING],
    BOOLEAN,
    (_, network, other) => contains(networkOperand(network, 1), stringOperand(other, 2)),
    { deprecated: "use net.cidr_contains" },
  ),
  builtin("net.cidr_contains_matches", [NETWORKS, NETWORKS], setOf(tupleOf([ANY, ANY])), (environment, a, b) =>
    containsMatches(environment, a, b),
  ),
  builtin("net.cidr_expand", [STRING], setOf(STRING), (environment, value) => {
    const network = networkOperand(value, 1);
    const count = 1n << BigInt(network.bits - network.length);
    environment.spend(Number(count) * (network.bits === 32 ? 20 : 50));
    const addresses = new ValueSet();
    for (let offset = 0n; offset < count; offset += 1n) {
      addresses.add(writeAddress({ bits: network.bits, value: network.first + offset }));
    }
    return addresses;
  }),
  builtin(
    "net.cidr_is_valid",
    [STRING],
    BOOLEAN,
    (_, value) => typeof value === "string" && parseNetwork(value) !== undefined,
  ),
  builtin("net.cidr_merge", [unionOf(arrayOf(STRING), setOf(STRING))], setOf(STRING), (environment, values) => {
    if (!isArray(values) && !isSet(values)) throw operandError(1, ["set", "array"], values);
    const networks = (isSet(values) ? values.sorted() : values).map(mergeable);
    environment.spend(networks.length * 8);
    return new ValueSet(mergeNetworks(networks).map(writeNetwork));
  }),
];

function networkOperand(value: Value, position: number): Network {
  return networkOfText(stringOperand(value, position));
}

function networkOfText(text: string): Network {
  const network = parseNetwork(text);
  if (network === undefined) throw builtinError(`invalid CIDR address: ${text}`);
  return network;
}

/** Whether a network has an address, or all of another network. */
function contains(network: Network, text: string): boolean {
  const address = parseAddress(text);
  return address === undefined ? containsNetwork(network, networkOfText(text)) : networkHas(network, address);
}

function containsNetwork(network: Network, { bits, first, length }: Network): boolean {
  return length >= network.length && networkHas(network, { bits, value: first });
}

/** A network, or an address, which stands for the network of its class (RFC 791). */
function mergeable(value: Value): Network {
  if (typeof value !== "string") throw builtinError("element must be string");
  const address = parseAddress(value);
  if (address === undefined) return networkOfText(value);
  if (address.bits === 128) throw builtinError("IPv6 invalid: needs prefix length");
  return networkOf(address, classLength(address));
}

function classLength({ value }: Address): number {
  if (value >> 31n === 0n) return 8;
  return value >> 30n === 2n ? 16 : 24;
}

/** What an entry is known by, and its text. */
type Named = readonly [key: Value, text: string];

function containsMatches(environment: BuiltinEnvironment, a: Value, b: Value): Value {
  const networks = namedOf(a, 1).map(([key, text]) => [key, networkOfText(text)] as const);
  const others = namedOf(b, 2).map(([key, text]) => {
    const address = parseAddress(text);
    return [key, address === undefined ? networkOfText(text) : networkOf(address, address.bits)] as const;
  });
  environment.spend(networks.length * others.length);
  const matches = new ValueSet();
  for (const [key, network] of networks) {
    for (const [otherKey, other] of others) if (containsNetwork(network, other)) matches.add([key, otherKey]);
  }
  return matches;
}

/** The entries of an operand: array items by index, set members by themselves, members of an object by key. */
function namedOf(value: Value, position: number): readonly Named[] {
  if (typeof value === "string") return [[value, value]];
  if (isArray(value)) return value.map((item, index) => [index, entryText(item, position)] as const);
  if (isSet(value)) return value.sorted().map((member) => [member, entryText(member, position)] as const);
  if (isObject(value)) return sortedEntries(value).map(([key, item]) => [key, entryText(item, position)] as const);
  throw operandError(position, ["string", "array", "set", "object"], value);
}

/** An entry is a text, or an array that begins with it. */
function entryText(value: Value, position: number): string {
  const text = isArray(value) ? value[0] : value;
  if (typeof text === "string") return text;
  throw new BuiltinError("eval_type_error", `operand ${position}: element must be string or non-empty array`);
}

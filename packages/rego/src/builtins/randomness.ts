/** Built-ins whose answer is random, and the same for the same operands during one evaluation; and the reading of UUIDs. */
import { numberOfBigint } from "../number.ts";
import { ANY, dictionaryOf, NUMBER, STRING } from "../types.ts";
import { objectOf, type Value } from "../value.ts";
import { type Builtin, type BuiltinEnvironment, bigintOperand, builtin, stringOperand } from "./builtin.ts";

export const RANDOMNESS: readonly Builtin[] = [
  builtin(
    "rand.intn",
    [STRING, NUMBER],
    NUMBER,
    (environment, text, limit) => {
      const seed = stringOperand(text, 1);
      const bound = bigintOperand(limit, 2);
      const size = bound < 0n ? -bound : bound;
      if (size === 0n) return 0;
      return remembered(environment, `rand.intn ${size} ${seed}`, () => randomBelow(environment, size));
    },
    { nondeterministic: true },
  ),
  builtin(
    "uuid.rfc4122",
    [STRING],
    STRING,
    (environment, text) =>
      remembered(environment, `uuid.rfc4122 ${stringOperand(text, 1)}`, () => randomUuid(environment)),
    { nondeterministic: true },
  ),
  builtin("uuid.parse", [STRING], dictionaryOf(STRING, ANY), (_, text) => parseUuid(stringOperand(text, 1))),
];

function remembered(environment: BuiltinEnvironment, key: string, make: () => Value): Value {
  let value = environment.perEvaluation.get(key);
  if (value === undefined) {
    value = make();
    environment.perEvaluation.set(key, value);
  }
  return value;
}

/** A number below `size`, each as likely as any other. */
function randomBelow(environment: BuiltinEnvironment, size: bigint): Value {
  const count = Math.ceil(size.toString(16).length / 2);
  const range = 1n << BigInt(count * 8);
  const usable = range - (range % size);
  for (;;) {
    environment.spend(1 + count);
    const drawn = BigInt(`0x${hexOf(environment.randomBytes(count))}`);
    if (drawn < usable) return numberOfBigint(drawn % size);
  }
}

function randomUuid(environment: BuiltinEnvironment): string {
  const bytes = Uint8Array.from(environment.randomBytes(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = hexOf(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function hexOf(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

const DASHED = "([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})";
const UUID = new RegExp(`^(?:${DASHED}|urn:uuid:${DASHED}|\\{${DASHED}\\}|([0-9a-f]{32}))$`, "i");

/** 100 ns steps from the start of the Gregorian calendar to the epoch. */
const GREGORIAN = 122192928000000000n;

function parseUuid(text: string): Value | undefined {
  const match = UUID.exec(text);
  if (match === null) return undefined;
  const hex = match.slice(1).join("").toLowerCase();
  const byte = (index: number) => Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16);
  const version = byte(6) >> 4;
  const entries: [string, Value][] = [
    ["version", version],
    ["variant", variantOf(byte(8))],
  ];
  if (version === 1 || version === 2) {
    const field = (from: number, to: number) => BigInt(`0x${hex.slice(from, to)}`);
    const ticks = ((field(12, 16) & 0xfffn) << 48n) | (field(8, 12) << 32n) | field(0, 8);
    entries.push(
      ["time", numberOfBigint((ticks - GREGORIAN) * 100n)],
      ["nodeid", (hex.slice(20).match(/../g) ?? []).join("-")],
      ["macvariables", `${byte(10) & 2 ? "local" : "global"}:${byte(10) & 1 ? "multicast" : "unicast"}`],
      ["clocksequence", Number(field(16, 20) & 0x3fffn)],
    );
    if (version === 2) {
      const domain = byte(9);
      entries.push(["id", Number(field(0, 8))], ["domain", ["Person", "Group", "Org"][domain] ?? `Domain${domain}`]);
    }
  }
  return objectOf(entries);
}

function variantOf(byte: number): string {
  if ((byte & 0xc0) === 0x80) return "RFC4122";
  if ((byte & 0xe0) === 0xc0) return "Microsoft";
  return (byte & 0xe0) === 0xe0 ? "Future" : "Reserved";
}

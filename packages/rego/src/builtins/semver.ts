/** Built-ins on semantic versions (semver.org); a `v` may stand before one. */
import { ANY, BOOLEAN, NUMBER, STRING } from "../types.ts";
import type { Value } from "../value.ts";
import { type Builtin, builtin, builtinError, stringOperand } from "./builtin.ts";

interface Version {
  readonly core: readonly bigint[];
  /** The identifiers of a version before the release; none for a release. */
  readonly early: readonly string[];
}

export const SEMVER: readonly Builtin[] = [
  builtin("semver.compare", [STRING, STRING], NUMBER, (_, a, b) => {
    return compareVersions(versionOperand(a, 1), versionOperand(b, 2));
  }),
  builtin("semver.is_valid", [ANY], BOOLEAN, (_, text) => typeof text === "string" && parseVersion(text) !== undefined),
];

const IDENTIFIERS = "[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*";
const NUMBER_PART = "(0|[1-9]\\d{0,18})";
const VERSION = new RegExp(
  `^v?${NUMBER_PART}\\.${NUMBER_PART}\\.${NUMBER_PART}(?:-(${IDENTIFIERS}))?(?:\\+${IDENTIFIERS})?$`,
);
const PART_MAX = 2n ** 63n - 1n;

function parseVersion(text: string): Version | undefined {
  const match = VERSION.exec(text);
  if (match === null) return undefined;
  const [, major = "", minor = "", patch = "", early] = match;
  const core = [major, minor, patch].map(BigInt);
  const identifiers = early?.split(".") ?? [];
  if (core.some((part) => part > PART_MAX) || identifiers.some((each) => /^0\d+$/.test(each))) return undefined;
  return { core, early: identifiers };
}

function versionOperand(value: Value, position: number): Version {
  const text = stringOperand(value, position);
  const version = parseVersion(text);
  if (version === undefined) {
    throw builtinError(`operand ${position}: string ${JSON.stringify(text)} is not a valid SemVer`);
  }
  return version;
}

function compareVersions(a: Version, b: Version): number {
  for (const [index, number] of a.core.entries()) {
    const other = b.core[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.early.length === 0 || b.early.length === 0) return Math.sign(b.early.length - a.early.length);
  for (const [index, identifier] of a.early.entries()) {
    const other = b.early[index];
    if (other === undefined) return 1;
    const order = compareIdentifiers(identifier, other);
    if (order !== 0) return order;
  }
  return a.early.length < b.early.length ? -1 : 0;
}

/** Numbers by size and before all others, which go by their characters. */
function compareIdentifiers(a: string, b: string): number {
  if (a === b) return 0;
  const isNumber = /^\d+$/;
  if (isNumber.test(a) !== isNumber.test(b)) return isNumber.test(a) ? -1 : 1;
  if (isNumber.test(a)) {
    if (a.length !== b.length) return a.length < b.length ? -1 : 1;
    return a < b ? -1 : 1;
  }
  return a < b ? -1 : 1;
}

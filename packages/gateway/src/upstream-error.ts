/**
 * An error of an upstream, as an agent may read it. Codes in which Writ says that a call was denied, or that it failed
 * with it, are Writ's alone: who reads one knows who speaks.
 */
import { membersOf, valueText, withMember, withoutMember } from "./json-members.ts";

/** From duplicates to what is unavailable; `REASONS` has none of Writ's own outside. */
const OWN_CODE_MIN = -32_019;
const OWN_CODE_MAX = -32_009;
/** JSON-RPC's "Internal error". */
const INTERNAL_ERROR = "-32603";

/** The JSON text of the value of `error`, under another code where its own is one of Writ's; else as it is. */
export function withoutOwnCode(error: string): string {
  if (!error.startsWith("{")) return error;
  // Some readers do not tell letters by their case.
  const codes = membersOf(error).filter(({ name }) => name.toLowerCase() === "code");
  if (!codes.some((code) => isOwn(valueText(error, code)))) return error;
  const [first, ...others] = codes.map(({ name }) => name);
  if (first === "code" && others.length === 0) return withMember(error, "code", INTERNAL_ERROR);
  // Of a name that is there twice some readers take the first.
  let without = error;
  for (const name of new Set(codes.map(({ name: spelt }) => spelt))) without = withoutMember(without, name);
  return withMember(without, "code", INTERNAL_ERROR);
}

/** By its value, which has many spellings, and some readers take a text for a number. */
function isOwn(code: string): boolean {
  if (!/^["\d-]/.test(code)) return false;
  const value = Number(JSON.parse(code));
  return value >= OWN_CODE_MIN && value <= OWN_CODE_MAX;
}

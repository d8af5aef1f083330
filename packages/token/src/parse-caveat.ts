/**
 * A caveat: UTF-8 JSON with exactly one member, whose name is its kind. Parsed once, when a token is verified, into
 * what clearing needs. A kind that is not known and a known kind of the wrong shape are values of their own, because
 * clearing must prohibit them; this file decides nothing.
 */
import {
  type Action,
  type AddressPrefix,
  type ArgumentCondition,
  BUDGET_UNITS,
  type BudgetUnit,
  compileArgumentCondition,
  compileGlob,
  compileHttpPattern,
  compileToolPattern,
  type HttpPattern,
  isAction,
  isJsonArray,
  isJsonObject,
  isRateLimit,
  isRatePeriod,
  type JsonObject,
  type JsonValue,
  parseStrictJson,
  RATE_LIMIT_MAX,
  type RatePeriod,
  readAddressPrefix,
  type ToolPattern,
  WINDOWS,
  type Window,
} from "@writ/contract";
import { isUnixTime } from "./token-identifier.ts";

/** What one caveat says. */
export type CaveatMeaning =
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "exp"; readonly atMs: number }
  | { readonly kind: "nbf"; readonly atMs: number }
  | { readonly kind: "aud"; readonly audiences: readonly string[] }
  | { readonly kind: "actions"; readonly actions: ReadonlySet<Action> }
  | { readonly kind: "tools"; readonly patterns: readonly ToolPattern[] }
  | { readonly kind: "not_tools"; readonly patterns: readonly ToolPattern[] }
  | { readonly kind: "args"; readonly rules: readonly ArgumentRule[] }
  | { readonly kind: "http"; readonly rules: readonly HttpRule[] }
  | { readonly kind: "budget"; readonly unit: BudgetUnit; readonly window: Window; readonly limit: number }
  | { readonly kind: "depth"; readonly depth: number }
  | { readonly kind: "net"; readonly prefixes: readonly AddressPrefix[] }
  | { readonly kind: "rate"; readonly limit: number; readonly per: RatePeriod }
  | { readonly kind: "unknown" }
  | { readonly kind: "malformed"; readonly detail: string };

/** A caveat's text beside its meaning. `text` is "" for one that is not UTF-8. */
export interface ParsedCaveat {
  readonly text: string;
  readonly meaning: CaveatMeaning;
}

export interface ArgumentRule {
  readonly pattern: ToolPattern;
  readonly conditions: readonly ArgumentCondition[];
}

/** What may be asked of the upstreams of one name; a `*` of the name stands for any run of characters. */
export interface HttpRule {
  matches(upstream: string): boolean;
  readonly patterns: readonly HttpPattern[];
}

const LIST_LENGTH_MAX = 256;
/** Greatest length of an id or an audience, in UTF-16 code units. */
const NAME_LENGTH_MAX = 256;
const UPSTREAM_PATTERN = /^[a-z0-9*-]{1,63}$/;
const DEPTH_MAX = 64;
/** A caveat's values nest no deeper than what `eq` may compare with needs. */
const JSON_DEPTH_MAX = 16;

const NOTHING: JsonObject = Object.freeze(Object.create(null) as JsonObject); // null-prototype, as every JsonObject is

const encoder = new TextEncoder();

/** Reads one caveat from the bytes that are signed. Total: what cannot be read is `malformed`. */
export function parseCaveat(bytes: Uint8Array): ParsedCaveat {
  const read = parseStrictJson(bytes, { depthMax: JSON_DEPTH_MAX });
  if (read.kind === "fault") return { text: readable(bytes), meaning: malformed(`not strict JSON: ${read.detail}`) };
  const { text, value } = read;
  if (!isJsonObject(value)) return { text, meaning: malformed("not an object") };
  const names = Object.keys(value);
  const [kind] = names;
  if (kind === undefined || names.length !== 1) return { text, meaning: malformed("not exactly one member") };
  return { text, meaning: readMeaning(kind, value[kind] as JsonValue) }; // an own name
}

/** The same for a caveat that is a text already. */
export function parseCaveatText(text: string): ParsedCaveat {
  return parseCaveat(encoder.encode(text));
}

/** The text of bytes that are no JSON, for showing; "" when they are no text either. */
function readable(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // Not UTF-8: a fault of the caveat, which the caller already reports as malformed.
    return "";
  }
}

function malformed(detail: string): CaveatMeaning {
  return { kind: "malformed", detail };
}

function readMeaning(kind: string, value: JsonValue): CaveatMeaning {
  switch (kind) {
    case "id": {
      if (typeof value !== "string" || value === "" || value.length > NAME_LENGTH_MAX) {
        return malformed(`id: a text of 1 to ${NAME_LENGTH_MAX} characters is expected`);
      }
      return { kind, id: value };
    }
    case "exp":
    case "nbf":
      if (!isUnixTime(value)) return malformed(`${kind}: a unix time in whole seconds is expected`);
      return { kind, atMs: value * 1000 };
    case "aud": {
      const audiences = typeof value === "string" ? [value] : readTexts(value);
      if (audiences === undefined) return malformed("aud: a text or a list of texts is expected");
      return { kind, audiences };
    }
    case "actions": {
      const actions = readTexts(value);
      if (!actions?.every(isAction)) return malformed("actions: a list of actions is expected");
      // Every element was just found to be an action.
      return { kind, actions: new Set(actions as readonly Action[]) };
    }
    case "tools":
    case "not_tools": {
      const patterns = readPatterns(value);
      if (patterns === undefined) return malformed(`${kind}: a list of upstream/tool patterns is expected`);
      return { kind, patterns };
    }
    case "args":
      return readArgs(value);
    case "http":
      return readHttp(value);
    case "calls": {
      if (!isJsonObject(value)) return readBudget("calls", "calls", "total", value);
      if (!hasExactly(value, ["limit", "window"])) return malformed("calls: a limit or {limit, window} is expected");
      return readBudget("calls", "calls", value["window"], value["limit"]);
    }
    case "budget": {
      if (!isJsonObject(value) || !hasExactly(value, ["limit", "unit", "window"])) {
        return malformed("budget: {unit, window, limit} is expected");
      }
      return readBudget("budget", value["unit"], value["window"], value["limit"]);
    }
    case "depth":
      if (!isCount(value) || value > DEPTH_MAX) return malformed(`depth: an integer of 0 to ${DEPTH_MAX} is expected`);
      return { kind, depth: value };
    case "net": {
      const prefixes = readTexts(value)?.map(readAddressPrefix);
      if (prefixes === undefined || !prefixes.every((prefix) => prefix !== undefined)) {
        return malformed('net: a list of networks is expected, such as "10.1.0.0/16" or "2001:db8::/32"');
      }
      return { kind, prefixes };
    }
    case "rate": {
      const { limit, per } = isJsonObject(value) && hasExactly(value, ["limit", "per"]) ? value : NOTHING;
      if (!isRateLimit(limit) || !isRatePeriod(per)) {
        return malformed(`rate: {limit, per} is expected: 1 to ${RATE_LIMIT_MAX} per second, minute or hour`);
      }
      return { kind, limit, per };
    }
    default:
      return { kind: "unknown" };
  }
}

function readArgs(value: JsonValue): CaveatMeaning {
  if (!isJsonObject(value)) return malformed("args: an object of tool patterns is expected");
  const rules: ArgumentRule[] = [];
  for (const [text, pointers] of Object.entries(value)) {
    const pattern = readPattern(text);
    if (pattern === undefined) return malformed("args: a member's name is no upstream/tool pattern");
    if (!isJsonObject(pointers)) return malformed("args: an object of JSON Pointers is expected for each tool pattern");
    const conditions: ArgumentCondition[] = [];
    for (const [pointer, operators] of Object.entries(pointers)) {
      const compilation = compileArgumentCondition(pointer, operators);
      if (compilation.kind === "malformed") return malformed("args: a JSON Pointer or its operators cannot be read");
      conditions.push(compilation.condition);
    }
    rules.push({ pattern, conditions });
  }
  return { kind: "args", rules };
}

function readHttp(value: JsonValue): CaveatMeaning {
  if (!isJsonObject(value)) return malformed("http: an object of upstreams is expected");
  const rules: HttpRule[] = [];
  for (const [name, texts] of Object.entries(value)) {
    if (!UPSTREAM_PATTERN.test(name)) return malformed("http: a member's name is no upstream's, nor a pattern of one");
    const patterns = readTexts(texts)?.map(compileHttpPattern);
    if (patterns === undefined || !patterns.every((pattern) => pattern !== undefined)) {
      return malformed('http: a list of methods and paths is expected for each upstream, such as "GET /v1/items/*"');
    }
    rules.push({ matches: compileGlob(name), patterns });
  }
  return { kind: "http", rules };
}

function readBudget(kind: string, unit: unknown, window: unknown, limit: JsonValue | undefined): CaveatMeaning {
  const knownUnit = BUDGET_UNITS.find((known) => known === unit);
  const knownWindow = WINDOWS.find((known) => known === window);
  if (knownUnit === undefined) return malformed(`${kind}: there is no such unit`);
  if (knownWindow === undefined) return malformed(`${kind}: there is no such window`);
  if (!isCount(limit)) return malformed(`${kind}: the limit must be a whole number of at least 0`);
  return { kind: "budget", unit: knownUnit, window: knownWindow, limit };
}

function readTexts(value: JsonValue): readonly string[] | undefined {
  if (!isJsonArray(value) || value.length > LIST_LENGTH_MAX) return undefined;
  const texts: string[] = [];
  for (const element of value) {
    if (typeof element !== "string" || element === "" || element.length > NAME_LENGTH_MAX) return undefined;
    texts.push(element);
  }
  return texts;
}

function readPatterns(value: JsonValue): readonly ToolPattern[] | undefined {
  const patterns: ToolPattern[] = [];
  for (const text of readTexts(value) ?? ["not a list of texts"]) {
    const pattern = readPattern(text);
    if (pattern === undefined) return undefined;
    patterns.push(pattern);
  }
  return patterns;
}

/** Narrower than in rules: exactly one "/", and no double star, which would promise more than it does. */
function readPattern(text: string): ToolPattern | undefined {
  if (text.includes("**") || text.indexOf("/") !== text.lastIndexOf("/")) return undefined;
  return compileToolPattern(text);
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function hasExactly(value: JsonObject, names: readonly string[]): boolean {
  return Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}

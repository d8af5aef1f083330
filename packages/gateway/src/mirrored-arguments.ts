/**
 * Arguments that a tool of the stateless revision wants repeated in headers (MCP 2026-07-28, Streamable HTTP, "Custom
 * Headers from Tool Parameters"). Towards an upstream the headers are made from the judged bytes, never taken from the
 * agent; those that the agent sends must say the same as its arguments. Pure.
 */
import { ExactNumber } from "@writ/contract";
import type { MirroredHeader } from "./ports.ts";
import { headerValue } from "./upstream/messages.ts";

export interface MirroredArgument {
  readonly header: string;
  /** Names of the properties that lead to the value. */
  readonly path: readonly string[];
  readonly type: string;
}

export type MirroredArguments =
  | { readonly kind: "valid"; readonly mirrored: readonly MirroredArgument[] }
  /** The definition breaks a rule of the annotations, which makes the tool unusable on the stateless revision. */
  | { readonly kind: "invalid"; readonly detail: string };

const ANNOTATION = "x-mcp-header";
const ANNOTATIONS_MAX = 64;
/** Objects and arrays inside each other: as deep as a message may be that holds a definition. */
const DEPTH_MAX = 64;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const TYPES: ReadonlySet<unknown> = new Set(["string", "integer", "boolean"]);
/** Where data stands that only looks like a schema. */
const DATA: ReadonlySet<string> = new Set(["const", "enum", "default", "examples"]);
const DECIMAL = /^-?[0-9]{1,17}(?:\.0{1,17})?$/;

/** What a definition, which is valid JSON, asks to have mirrored. */
export function readMirroredArguments(definition: string): MirroredArguments {
  // A name can be spelt with escapes; without any it stands in the text as it is.
  if (!definition.includes(ANNOTATION) && !definition.includes("\\")) return { kind: "valid", mirrored: [] };
  const found: MirroredArgument[] = [];
  const detail = walk(property(JSON.parse(definition), "inputSchema"), { path: [], depth: 0 }, found);
  if (detail !== undefined) return { kind: "invalid", detail };
  if (found.length > ANNOTATIONS_MAX) return { kind: "invalid", detail: "more headers than a request can have" };
  const names = new Set(found.map((one) => one.header));
  if (names.size !== found.length) return { kind: "invalid", detail: "two arguments for one header" };
  return { kind: "valid", mirrored: found };
}

/** `path` is undefined below anything but a chain of properties. Returns what is wrong with an annotation. */
function walk(
  schema: unknown,
  { path, depth }: { readonly path: readonly string[] | undefined; readonly depth: number },
  found: MirroredArgument[],
): string | undefined {
  if (typeof schema !== "object" || schema === null) return undefined;
  if (depth > DEPTH_MAX) return "a schema that is too deep";
  if (!Array.isArray(schema) && Object.hasOwn(schema, ANNOTATION)) {
    const name = property(schema, ANNOTATION);
    const type = property(schema, "type");
    if (path === undefined || path.length === 0) return "an annotation that is not on a property";
    if (typeof name !== "string" || !TOKEN.test(name)) return "a name that no header can have";
    if (typeof type !== "string" || !TYPES.has(type)) return "an argument that is neither string, integer nor boolean";
    found.push({ header: `mcp-param-${name.toLowerCase()}`, path, type });
  }
  for (const [keyword, part] of Object.entries(schema)) {
    if (DATA.has(keyword) && !Array.isArray(schema)) continue;
    const isProperties = keyword === "properties" && typeof part === "object" && part !== null;
    for (const [name, value] of isProperties ? Object.entries(part) : [[keyword, part] as const]) {
      const own = isProperties && path !== undefined ? [...path, name] : undefined;
      const detail = walk(value, { path: own, depth: depth + (isProperties ? 2 : 1) }, found);
      if (detail !== undefined) return detail;
    }
  }
  return undefined;
}

/** The headers for one call; `params` is the JSON text of a `tools/call`. */
export function mirrorArguments(mirrored: readonly MirroredArgument[], params: string): Record<string, string> {
  const headers: Record<string, string> = {};
  if (mirrored.length === 0) return headers;
  const args = property(JSON.parse(params), "arguments");
  for (const { header, path } of mirrored) {
    const text = textOf(valueAt(args, path));
    if (text !== undefined) headers[header] = headerValue(text);
  }
  return headers;
}

/** The first header that does not say what the arguments say; undefined when all do. */
export function findDisagreement(
  mirrored: readonly MirroredArgument[],
  args: unknown,
  headerOf: (name: string) => MirroredHeader,
): string | undefined {
  return mirrored.find(({ header, path, type }) => {
    const said = headerOf(header);
    const value = valueAt(args, path);
    const text = textOf(value);
    // What stands before Writ may have gone by the header: one that repeats nothing is as false as one that is wrong.
    if (said.kind !== "text") return said.kind === "unreadable" || text !== undefined;
    if (text === undefined) return true;
    // Integers are compared as numbers: `42.0` says the same as `42`.
    return said.text !== text && !(type === "integer" && DECIMAL.test(said.text) && Number(said.text) === Number(text));
  })?.header;
}

/** How a header says it; undefined for what no header says. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const plain = value instanceof ExactNumber ? Number(value.lexeme) : value;
  return typeof plain === "boolean" || Number.isSafeInteger(plain) ? String(plain) : undefined;
}

function valueAt(args: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(property, args);
}

function property(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

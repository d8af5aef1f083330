/**
 * Arguments that a tool of the stateless revision wants repeated in headers (MCP 2026-07-28, Streamable HTTP, "Custom
 * Headers from Tool Parameters"). The headers are made from the judged bytes, never taken from the agent. Pure.
 */
import { headerValue } from "./messages.ts";

export interface MirroredArgument {
  readonly header: string;
  /** Names of the properties that lead to the value. */
  readonly path: readonly string[];
}

const ANNOTATIONS_MAX = 64;
const DEPTH_MAX = 16;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;

/** What a definition, which is valid JSON, asks to have mirrored; nothing when its annotations contradict each other. */
export function readMirroredArguments(definition: string): readonly MirroredArgument[] {
  const found: MirroredArgument[] = [];
  const schema = property(JSON.parse(definition), "inputSchema");
  walk(schema, [], found);
  const names = new Set(found.map((one) => one.header.toLowerCase()));
  return names.size === found.length && found.length <= ANNOTATIONS_MAX ? found : [];
}

function walk(schema: unknown, path: readonly string[], found: MirroredArgument[]): void {
  const properties = property(schema, "properties");
  if (typeof properties !== "object" || properties === null || path.length >= DEPTH_MAX) return;
  for (const [name, part] of Object.entries(properties)) {
    if (found.length > ANNOTATIONS_MAX) return;
    const annotation = property(part, "x-mcp-header");
    const here = [...path, name];
    if (typeof annotation === "string" && TOKEN.test(annotation)) {
      found.push({ header: `mcp-param-${annotation.toLowerCase()}`, path: here });
    }
    walk(part, here, found);
  }
}

/** The headers for one call; `params` is the JSON text of a `tools/call`. */
export function mirrorArguments(mirrored: readonly MirroredArgument[], params: string): Record<string, string> {
  const headers: Record<string, string> = {};
  if (mirrored.length === 0) return headers;
  const args = property(JSON.parse(params), "arguments");
  for (const { header, path } of mirrored) {
    const value = path.reduce<unknown>(property, args);
    if (typeof value === "string") headers[header] = headerValue(value);
    else if (typeof value === "boolean" || Number.isSafeInteger(value)) headers[header] = String(value);
  }
  return headers;
}

function property(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

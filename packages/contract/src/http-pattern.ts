/**
 * Patterns of HTTP requests, as routes, caveats and rules write them: `GET,HEAD /v1/items/*` or `* /v1/**`. In a path
 * `*` stands for one segment and `**`, at the end, for the rest, which may be empty; nothing else is special, and there
 * are no regular expressions. A slash at the end makes no difference. Judges nothing.
 */
import { readHttpMethod, readHttpSegment } from "./http-target.ts";

export interface HttpPathPattern {
  /** `path` in its one spelling. */
  matches(path: string): boolean;
}

export interface HttpPattern {
  matches(method: string, path: string): boolean;
}

const PATTERN_LENGTH_MAX = 1024;
const METHODS_MAX = 16;

/** Compiles a pattern of methods and a path; undefined when it is none. */
export function compileHttpPattern(text: string): HttpPattern | undefined {
  const space = text.indexOf(" ");
  if (space < 1 || text.length > PATTERN_LENGTH_MAX) return undefined;
  const methods = readMethods(text.slice(0, space));
  const path = compileHttpPath(text.slice(space + 1));
  if (methods === undefined || path === undefined) return undefined;
  return { matches: (method, requested) => (methods === "any" || methods.has(method)) && path.matches(requested) };
}

function readMethods(text: string): ReadonlySet<string> | "any" | undefined {
  if (text === "*") return "any";
  const methods = text.split(",");
  if (methods.length > METHODS_MAX || methods.some((method) => readHttpMethod(method).kind === "fault")) {
    return undefined;
  }
  return new Set(methods);
}

const ANY = Symbol("any segment");

/** Compiles the path of a pattern; undefined when it is none. Its segments are spelt as those of requests. */
export function compileHttpPath(text: string): HttpPathPattern | undefined {
  if (!text.startsWith("/") || text.length > PATTERN_LENGTH_MAX) return undefined;
  const parts = withoutLast(text.slice(1).split("/"));
  const hasRest = parts.at(-1) === "**";
  const wanted: (string | typeof ANY)[] = [];
  for (const part of hasRest ? parts.slice(0, -1) : parts) {
    if (part === "*") {
      wanted.push(ANY);
      continue;
    }
    const segment = readHttpSegment(part);
    // Whoever writes `items-*` means something that there is not.
    if (typeof segment !== "string" || segment === "" || part.includes("*")) return undefined;
    wanted.push(segment);
  }
  return {
    matches(path) {
      const segments = withoutLast(path.slice(1).split("/"));
      if (hasRest ? segments.length < wanted.length : segments.length !== wanted.length) return false;
      return wanted.every((segment, index) => segment === ANY || segment === segments[index]);
    },
  };
}

/** Without the empty segment behind a slash at the end. */
function withoutLast(segments: readonly string[]): readonly string[] {
  return segments.at(-1) === "" ? segments.slice(0, -1) : segments;
}

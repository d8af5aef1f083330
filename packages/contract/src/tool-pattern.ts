/**
 * Names of tools with `*`, as caveats and rules write them: `upstream/tool`, where `*` stands for any run of
 * characters within its part, and the first slash ends the upstream's part. No other character is special.
 */

export interface ToolPattern {
  /** The upstream's name when it is written out; undefined when it has a `*`. */
  readonly upstream: string | undefined;
  /** The tool's name when it is written out; undefined when it has a `*`. */
  readonly tool: string | undefined;
  matches(upstream: string, tool: string): boolean;
}

const PATTERN_LENGTH_MAX = 512;
const STARS_MAX = 8;

/** Compiles a pattern; undefined when it is none: without a slash, with an empty part, too long or too many stars. */
export function compileToolPattern(pattern: string): ToolPattern | undefined {
  const slash = pattern.indexOf("/");
  if (slash < 1 || slash === pattern.length - 1 || pattern.length > PATTERN_LENGTH_MAX) return undefined;
  if (pattern.split("*").length - 1 > STARS_MAX) return undefined;
  const [upstream, upstreamMatches] = compilePart(pattern.slice(0, slash));
  const [tool, toolMatches] = compilePart(pattern.slice(slash + 1));
  return {
    upstream,
    tool,
    // On the path of every call: what is written out is compared here. Neither part of a name that matches is ever empty,
    // so actions without a tool match no pattern.
    matches: (u, t) =>
      (upstream === undefined ? u !== "" && upstreamMatches(u) : u === upstream) &&
      (tool === undefined ? t !== "" && toolMatches(t) : t === tool),
  };
}

function compilePart(part: string): readonly [written: string | undefined, matches: (text: string) => boolean] {
  return [part.includes("*") ? undefined : part, compileGlob(part)];
}

/** Whether a text matches a glob in which only `*` is special. Linear in the text for each star: never backtracks. */
export function compileGlob(glob: string): (text: string) => boolean {
  const parts = glob.split("*");
  const first = parts[0] ?? "";
  const last = parts.at(-1) ?? "";
  if (parts.length === 1) return (text) => text === glob;
  const middle = parts.slice(1, -1).filter((part) => part !== "");
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const part of middle) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}

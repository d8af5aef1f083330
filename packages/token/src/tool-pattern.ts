/**
 * Tool patterns of caveats: "upstream/tool" with exactly one "/", in which each `*` matches any run of characters
 * other than "/". Compiled once, matched in time linear in the name; every other character stands for itself.
 */
export interface ToolPattern {
  readonly text: string;
  readonly upstream: Glob;
  readonly tool: Glob;
}

/** A pattern cut at its stars; one piece means that there is none. */
type Glob = readonly string[];

const PATTERN_LENGTH_MAX = 256;

/** The compiled pattern, or undefined when `text` is none. A double star is none: it would promise more than it does. */
export function compileToolPattern(text: string): ToolPattern | undefined {
  const sides = text.split("/");
  const [upstream, tool] = sides;
  if (sides.length !== 2 || !upstream || !tool || text.length > PATTERN_LENGTH_MAX) return undefined;
  if (text.includes("**")) return undefined;
  return { text, upstream: upstream.split("*"), tool: tool.split("*") };
}

/** Whether patterns can speak of this tool at all: one whose name holds a "/" is beyond every pattern. */
export function isWithinPatterns(upstream: string, tool: string): boolean {
  return !upstream.includes("/") && !tool.includes("/");
}

export function matchesTool(pattern: ToolPattern, upstream: string, tool: string): boolean {
  return matchesGlob(pattern.upstream, upstream) && matchesGlob(pattern.tool, tool);
}

function matchesGlob(glob: Glob, name: string): boolean {
  const first = glob[0] as string; // a split has at least one piece
  if (glob.length === 1) return name === first;
  if (name.includes("/") || !name.startsWith(first)) return false;
  const last = glob[glob.length - 1] as string; // at least two pieces here
  const end = name.length - last.length;
  let at = first.length;
  for (let index = 1; index < glob.length - 1; index += 1) {
    const piece = glob[index] as string; // within bounds
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= end && name.endsWith(last);
}

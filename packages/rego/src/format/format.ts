/**
 * Formats a module in the style of `opa fmt`: tabs, one space where spaces belong, one blank line at most, imports of a
 * group in order. Line breaks stay where the author made them. Only spaces and the few tokens that pieces.ts names are
 * changed, so a formatted module means what it meant, and all comments are kept.
 */
import type { Problem } from "../problem.ts";
import type { Comment, Module } from "../syntax/ast.ts";
import { parseModule } from "../syntax/parser.ts";
import { type Gap, type GapComment, piecesOf, readGap } from "./pieces.ts";
import { rolesOf } from "./roles.ts";
import { writeStatement } from "./write-statement.ts";

export type Formatted =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

/** The module, formatted; `file` is only its name in problems. */
export function format(file: string, text: string): Formatted {
  const read = parseModule(file, text);
  if (read.kind === "problems") return read;
  const unchained = unchain(read.module);
  if (unchained === undefined) return { kind: "text", text: formatModule(read.module) };
  const again = parseModule(file, unchained);
  return again.kind === "problems" ? again : { kind: "text", text: formatModule(again.module) };
}

/** The text with a head before each further body of a rule; undefined when every rule has one body. */
function unchain({ rules, source: { text } }: Module): string | undefined {
  let unchained = "";
  let head = "";
  let end = 0;
  for (const { at, body } of rules) {
    if (body === undefined) continue;
    if (body.at !== at) head = text.slice(at, body.at).trimEnd();
    else {
      unchained += `${text.slice(end, at)}\n\n${head} `;
      end = at;
    }
  }
  return end === 0 ? undefined : unchained + text.slice(end);
}

interface Chunk {
  readonly kind: "package" | "import" | "rule";
  readonly lines: readonly string[];
  /** What stands before it. */
  readonly gap: Gap;
  /** What imports are ordered by. */
  readonly path: string;
}

function formatModule(module: Module): string {
  const { source, comments } = module;
  const { text } = source;
  const roles = rolesOf(module);
  const statements = [
    { ...module.package, kind: "package" as const, rule: undefined, path: "" },
    ...module.imports.map((node) => ({ ...node, kind: "import" as const, rule: undefined, path: node.path.join(".") })),
    ...module.rules.map((rule) => ({ at: rule.at, end: rule.end, kind: "rule" as const, rule, path: "" })),
  ].sort((a, b) => a.at - b.at);
  const own = new CommentCursor(comments);
  let end = 0;
  const chunks = statements.map((statement): Chunk => {
    const gap = readGap(text, own.upTo(statement.at), end, statement.at);
    end = statement.end;
    const lines = writeStatement(piecesOf(text, statement, own.upTo(statement.end), roles));
    return { kind: statement.kind, lines, gap, path: statement.path };
  });
  const last = readGap(text, own.upTo(text.length + 1), end, text.length);
  return join(chunks, last);
}

/** Hands out comments in order, each once. */
class CommentCursor {
  readonly #comments: readonly Comment[];
  #next = 0;

  constructor(comments: readonly Comment[]) {
    this.#comments = comments;
  }

  upTo(offset: number): readonly Comment[] {
    const start = this.#next;
    while ((this.#comments[this.#next]?.at ?? Number.POSITIVE_INFINITY) < offset) this.#next += 1;
    return this.#comments.slice(start, this.#next);
  }
}

function join(chunks: readonly Chunk[], last: Gap): string {
  const lines: string[] = [];
  for (const [index, chunk] of chunks.entries()) {
    const before = chunks[index - 1];
    const [first] = chunk.gap.comments;
    const leading = first?.trailing === true ? chunk.gap.comments.slice(1) : chunk.gap.comments;
    if (before !== undefined && first?.trailing === true) lines.push(`${lines.pop()} ${first.text}`);
    if (before !== undefined && isApart(before, chunk, leading)) lines.push("");
    putComments(lines, before === undefined ? chunk.gap.comments : leading);
    if (chunk.gap.blank && leading.length > 0) lines.push("");
    lines.push(...chunk.lines);
  }
  const [first, ...others] = last.comments;
  if (first?.trailing === true) {
    lines.push(`${lines.pop()} ${first.text}`);
    if (others[0]?.blankBefore === true) lines.push("");
    putComments(lines, others);
  } else {
    if (first?.blankBefore === true) lines.push("");
    putComments(lines, last.comments);
  }
  return `${sortImports(lines).join("\n")}\n`;
}

/** Whether a blank line stands between two statements. */
function isApart(before: Chunk, chunk: Chunk, leading: readonly GapComment[]): boolean {
  if (before.kind !== chunk.kind) return true;
  if (chunk.kind === "import") return leading.length > 0 ? leading[0]?.blankBefore === true : chunk.gap.blank;
  const isShort = before.lines.length === 1 && chunk.lines.length === 1;
  return !isShort || leading.length > 0 || chunk.gap.blank;
}

function putComments(lines: string[], comments: readonly GapComment[]): void {
  for (const [index, comment] of comments.entries()) {
    if (comment.blankBefore && index > 0) lines.push("");
    lines.push(comment.text);
  }
}

/** Orders imports that stand on lines right after each other. */
function sortImports(lines: readonly string[]): string[] {
  const sorted: string[] = [];
  let group: string[] = [];
  const flush = () => {
    sorted.push(...group.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    group = [];
  };
  for (const line of lines) {
    if (line.startsWith("import ")) {
      group.push(line);
      continue;
    }
    flush();
    sorted.push(line);
  }
  flush();
  return sorted;
}

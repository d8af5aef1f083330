/**
 * Writes the pieces of one statement as lines. Bodies have a line for each literal; a list that the author broke anywhere
 * has its brackets on lines of their own and a comma after its last item, and keeps the breaks between items; every other
 * break is kept with one more tab. A comment ends its line wherever it stands.
 */
import type { Gap, Piece } from "./pieces.ts";

interface Context {
  readonly opens: Piece["opens"];
  /** Whether what is in it begins on a line of its own, and its end too. */
  readonly broken: boolean;
  /** Tabs before the line on which it was opened. */
  readonly base: number;
  /** Tabs before what is in it, when that begins a line. */
  readonly indent: number;
}

type Separation =
  | { readonly kind: "nothing" | "space" | "semicolon" }
  | { readonly kind: "line"; readonly indent: number; readonly blank: boolean };

export function writeStatement(pieces: readonly Piece[]): string[] {
  const broken = findBroken(pieces);
  const lines = new Lines();
  const contexts: Context[] = [{ opens: undefined, broken: false, base: 0, indent: 0 }];
  for (const [index, piece] of pieces.entries()) {
    const context = contexts.at(-1) as Context; // the outermost is never closed: brackets match
    const before = pieces[index - 1];
    if (before !== undefined) {
      if (piece.closes) endItems(lines, pieces, index, context);
      const isNeedless = piece.isSeparator && pieces[index + 1]?.closes === true;
      if (isNeedless) continue;
      lines.separate(piece.gap, separation(before, piece, context), context, before.opens !== undefined);
    }
    lines.add(piece.text);
    if (piece.opens !== undefined) {
      const base = lines.indent;
      contexts.push({ opens: piece.opens, broken: broken.has(piece), base, indent: base + 1 });
    } else if (piece.closes) contexts.pop();
  }
  return lines.finish();
}

/** Writes the comma after the last item where it belongs: on broken lists, and where `[a | b,]` is no comprehension. */
function endItems(lines: Lines, pieces: readonly Piece[], index: number, context: Context): void {
  if (context.opens !== "items" && context.opens !== "arguments") return;
  let depth = 0;
  let hasItems = false;
  let isSingle = true;
  let hasBar = false;
  for (let at = index - 1; at >= 0; at -= 1) {
    const piece = pieces[at];
    if (piece === undefined) break;
    if (piece.opens !== undefined) {
      if (depth === 0) break;
      depth -= 1;
    } else if (piece.closes) depth += 1;
    if (depth > 0) {
      hasItems = true;
      continue;
    }
    if (piece.isSeparator) isSingle = isSingle && at === index - 1;
    else hasItems = true;
    if (piece.text === "|") hasBar = true;
  }
  const hadComma = pieces[index - 1]?.isSeparator === true;
  if (hasItems && (context.broken || (hadComma && isSingle && hasBar))) lines.add(",");
}

/** The pieces that open a bracket whose content is broken into lines. */
function findBroken(pieces: readonly Piece[]): ReadonlySet<Piece> {
  const broken = new Set<Piece>();
  const open: { piece: Piece; inBody: boolean }[] = [];
  for (const [index, piece] of pieces.entries()) {
    const before = pieces[index - 1];
    const top = open.at(-1);
    if (top !== undefined && breaksContext(top, before, piece)) broken.add(top.piece);
    if (top !== undefined && piece.text === "|" && pieces[index + 1]?.isLiteral === true) top.inBody = true;
    if (piece.opens === "body") broken.add(piece);
    if (piece.opens !== undefined) open.push({ piece, inBody: false });
    else if (piece.closes) open.pop();
  }
  return broken;
}

function breaksContext(
  top: { readonly piece: Piece; readonly inBody: boolean },
  before: Piece | undefined,
  piece: Piece,
): boolean {
  if (!piece.gap.breaks) return false;
  switch (top.piece.opens) {
    case "items":
    case "arguments":
      return piece.closes || before === top.piece || before?.isSeparator === true;
    case "comprehension":
      return piece.closes || (top.inBody && piece.isLiteral);
    default:
      return false;
  }
}

function separation(before: Piece, piece: Piece, context: Context): Separation {
  const { gap } = piece;
  const line = (indent: number, blank: boolean): Separation => ({ kind: "line", indent, blank });
  if (piece.closes && context.opens === "inline") return { kind: "space" };
  if (piece.closes) return context.broken ? line(context.base, false) : { kind: "nothing" };
  if (before.opens === "inline") return { kind: "space" };
  if (before.opens === "body") return line(context.indent, false);
  if (piece.isLiteral && context.opens === "body") return line(context.indent, gap.blank);
  if (piece.isLiteral && context.opens === "comprehension") {
    if (context.broken) return line(context.indent, gap.blank && before.text !== "|");
    return { kind: before.text === "|" ? "space" : "semicolon" };
  }
  if (before.opens !== undefined) {
    const begins = context.broken && context.opens !== "comprehension";
    return begins ? line(context.indent, false) : { kind: "nothing" };
  }
  if (piece.isSeparator || piece.text === "," || piece.text === ":") return { kind: "nothing" };
  if (before.isSeparator) return gap.breaks ? line(context.indent, gap.blank) : { kind: "space" };
  if (piece.text === "." || before.text === "." || before.isSign) return { kind: "nothing" };
  if (piece.opens === "arguments" || piece.opens === "key") return { kind: "nothing" };
  if (piece.isElse) return gap.breaks || before.text !== "}" ? line(context.base, true) : { kind: "space" };
  if (
    piece.opens === "body" ||
    piece.opens === "inline" ||
    (context.opens === undefined && /^(?:if|contains)$/.test(piece.text))
  ) {
    return { kind: "space" };
  }
  return gap.breaks ? line(context.indent + 1, false) : { kind: "space" };
}

class Lines {
  readonly #lines: string[] = [];
  #line = "";
  indent = 0;

  add(text: string): void {
    this.#line += text;
  }

  /** Writes what stands between two pieces: comments first, each to the end of its line. */
  separate(gap: Gap, separation: Separation, context: Context, isFirst: boolean): void {
    if (gap.comments.length === 0) {
      if (separation.kind === "line") this.#newLine(separation.indent, separation.blank);
      else if (separation.kind === "semicolon") this.#line += this.#line.endsWith(";") ? " " : "; ";
      else if (separation.kind === "space") this.#line += " ";
      return;
    }
    const indent = separation.kind === "line" ? separation.indent : context.indent + 1;
    const isEnd = separation.kind === "line" && context.broken && indent === context.base;
    for (const [index, comment] of gap.comments.entries()) {
      if (comment.trailing) this.#line += ` ${comment.text}`;
      else {
        this.#newLine(isEnd ? context.indent : indent, comment.blankBefore && !(isFirst && index === 0));
        this.#line += comment.text;
      }
    }
    this.#newLine(indent, separation.kind === "line" && gap.blank && !isEnd);
  }

  finish(): string[] {
    this.#newLine(0, false);
    return this.#lines;
  }

  #newLine(indent: number, blank: boolean): void {
    this.#lines.push(this.#line);
    if (blank) this.#lines.push("");
    this.indent = indent;
    this.#line = "\t".repeat(indent);
  }
}

/**
 * A statement as pieces: its tokens with the comments and line breaks before each, after the changes that formatting
 * makes to tokens. Those are few: `;` goes but before a minus, needless commas go, braces around a body of one line go,
 * braces around a body that begins on a line of its own come, parentheses come around an operation in another and go where
 * they do nothing, a body that is only `true` goes, `["name"]` becomes `.name`, and `=` after the head of a rule becomes
 * `:=`.
 */
import type { Body, Comment, Rule } from "../syntax/ast.ts";
import { readToken } from "../syntax/lexer.ts";
import { isReserved } from "../syntax/parser.ts";
import type { BracketRole, Roles } from "./roles.ts";

export interface Piece {
  text: string;
  /** What the bracket that it opens is for; "group" is a parenthesis around a term. */
  opens: BracketRole | "group" | undefined;
  closes: boolean;
  /** Whether a literal of a body or comprehension begins with it. */
  readonly isLiteral: boolean;
  readonly isSign: boolean;
  /** Whether it is a comma between items or arguments. */
  isSeparator: boolean;
  /** Whether the token begins the `else` of a rule. */
  readonly isElse: boolean;
  gap: Gap;
}

/** What stands before a piece in the source. */
export interface Gap {
  readonly comments: readonly GapComment[];
  /** Whether a line ends in it. */
  readonly breaks: boolean;
  /** Whether an empty line stands right before the piece. */
  readonly blank: boolean;
}

export interface GapComment {
  readonly text: string;
  /** Whether it stands on the line of what is before it. */
  readonly trailing: boolean;
  readonly blankBefore: boolean;
}

const NO_GAP: Gap = { comments: [], breaks: false, blank: false };
const BLANK_LINE = /\n[ \t\r]*\n/;

/** What stands between two offsets, nothing of which is a token, or only tokens that go. */
export function readGap(text: string, comments: readonly Comment[], at: number, end: number): Gap {
  const found: GapComment[] = [];
  let from = at;
  let breaks = false;
  for (const comment of comments) {
    if (comment.at < at || comment.at >= end) continue;
    const before = text.slice(from, comment.at);
    breaks = true;
    found.push({
      text: `#${comment.text}`,
      trailing: found.length === 0 && !before.includes("\n"),
      blankBefore: BLANK_LINE.test(before),
    });
    from = comment.at + comment.text.length + 1;
  }
  const rest = text.slice(from, end);
  return { comments: found, breaks: breaks || rest.includes("\n"), blank: BLANK_LINE.test(rest) };
}

function joinGaps(first: Gap, second: Gap): Gap {
  const comments = second.comments.map((comment, index) =>
    index > 0 ? comment : { ...comment, trailing: comment.trailing && !first.breaks },
  );
  return {
    comments: [...first.comments, ...comments],
    breaks: first.breaks || second.breaks,
    blank: first.blank || second.blank,
  };
}

interface Statement {
  readonly at: number;
  readonly end: number;
  /** When it is a rule. */
  readonly rule: Rule | undefined;
}

/** The pieces of the statement; `comments` are those inside it. */
export function piecesOf(text: string, statement: Statement, comments: readonly Comment[], roles: Roles): Piece[] {
  const { rule } = statement;
  const pieces = readPieces(text, statement, comments, roles);
  if (rule !== undefined) {
    if (rule.operator === "=") spellOperator(pieces);
    const parts = [rule, ...rule.otherwise];
    // From the last on, so that places found earlier stay right.
    for (const { body } of parts.reverse()) if (body !== undefined) changeBraces(text, pieces, body);
    if (rule.body !== undefined && rule.otherwise.length === 0) dropTrueBody(pieces, rule, rule.body);
  }
  dropParentheses(pieces, roles);
  addParentheses(pieces, roles);
  // As in OPA, the one key of an object of rules stays in its brackets.
  joinNames(pieces, rule?.head.kind === "ref" && rule.head.path.length === 1 ? rule.head.end : statement.at);
  dropSemicolons(pieces);
  markSeparators(pieces);
  return pieces;
}

type PlacedPiece = Piece & { readonly at: number; readonly end: number };

function readPieces(text: string, statement: Statement, comments: readonly Comment[], roles: Roles): PlacedPiece[] {
  const elses = new Set(statement.rule?.otherwise.map((each) => each.at));
  const pieces: PlacedPiece[] = [];
  let end = statement.at;
  while (end < statement.end) {
    const token = readToken(text, end, () => {});
    const tokenEnd = roles.templates.get(token.at) ?? token.end;
    const written = text.slice(token.at, tokenEnd);
    const isMark = token.kind === "mark";
    let opens: Piece["opens"];
    if (isMark && "([{".includes(written)) {
      opens = roles.brackets.get(token.at) ?? (written === "[" ? "key" : "group");
    }
    const isOperator = written === "=" && elses.has(pieces.at(-1)?.at ?? -1);
    pieces.push({
      text: isOperator ? ":=" : written,
      opens,
      closes: isMark && ")]}".includes(written),
      isLiteral: roles.literals.has(token.at),
      isSign: roles.signs.has(token.at),
      isSeparator: false,
      isElse: elses.has(token.at),
      gap: pieces.length === 0 ? NO_GAP : readGap(text, comments, end, token.at),
      at: token.at,
      end: tokenEnd,
    });
    end = tokenEnd;
  }
  return pieces;
}

/** Writes `:=` for the first `=` outside of brackets. */
function spellOperator(pieces: Piece[]): void {
  let depth = 0;
  for (const piece of pieces) {
    if (piece.opens !== undefined) depth += 1;
    else if (piece.closes) depth -= 1;
    else if (depth === 0 && piece.text === "=") {
      piece.text = ":=";
      return;
    }
  }
}

/** A body of one literal that begins on the line of its `if` needs no braces; one that begins on another line does. */
function changeBraces(text: string, pieces: PlacedPiece[], body: Body): void {
  const [literal, ...others] = body.literals;
  if (literal === undefined || others.length > 0) return;
  const first = pieces.findIndex((piece) => piece.at === literal.at);
  const next = pieces.findIndex((piece, index) => index > first && piece.at >= literal.end);
  const past = next < 0 ? pieces.length : next;
  const begin = pieces[first];
  if (begin === undefined) return;
  if (!body.braced) {
    if (!begin.gap.breaks) return;
    const brace = { isLiteral: false, isSign: false, isSeparator: false, isElse: false, gap: NO_GAP, at: -1, end: -1 };
    pieces.splice(past, 0, { ...brace, text: "}", opens: undefined, closes: true });
    pieces.splice(first, 0, { ...brace, text: "{", opens: "body", closes: false });
    return;
  }
  const open = pieces[first - 1];
  const close = pieces.slice(past).find((piece) => piece.end === body.end);
  if (open === undefined || close === undefined) return;
  const inner = pieces.slice(past, pieces.indexOf(close) + 1);
  const hasComments = inner.some((piece) => piece.gap.comments.length > 0);
  // What begins with a brace would be read as a body again.
  if (open.gap.breaks || begin.gap.breaks || hasComments || text[literal.at] === "{") return;
  pieces.splice(past, inner.length);
  pieces.splice(first - 1, 1);
  const after = pieces[past - 1];
  if (after?.isElse === true) after.gap = { ...after.gap, breaks: true };
}

/** Without a body that is only `true`, a rule is what its head says. */
function dropTrueBody(pieces: PlacedPiece[], rule: Rule, body: Body): void {
  const [literal, ...others] = body.literals;
  const isTrue =
    literal?.expression.kind === "term" &&
    literal.expression.term.kind === "scalar" &&
    literal.expression.term.value === true;
  if (!isTrue || literal.negated || literal.with.length > 0 || others.length > 0) return;
  const first = pieces.findIndex(
    (piece) => piece.text === "if" && piece.at < body.at && piece.end <= body.at && nextAt(pieces, piece) >= body.at,
  );
  const dropped = pieces.slice(first);
  if (first < 1 || dropped.some((piece) => piece.gap.comments.length > 0)) return;
  pieces.length = first;
  if (rule.value !== undefined || rule.member !== undefined) return;
  const at = literal.at;
  pieces.push({ ...PLAIN, text: ":=", at: -1, end: -1 }, { ...PLAIN, text: "true", at, end: literal.end });
}

/** Where the first piece of the source after one begins. */
function nextAt(pieces: readonly PlacedPiece[], piece: PlacedPiece): number {
  return pieces.find(({ at }) => at >= piece.end)?.at ?? Number.POSITIVE_INFINITY;
}

const PLAIN: Omit<Piece, "text"> = {
  opens: undefined,
  closes: false,
  isLiteral: false,
  isSign: false,
  isSeparator: false,
  isElse: false,
  gap: NO_GAP,
};

/** The index of the bracket that closes the one at `open`. */
function closeOf(pieces: readonly Piece[], open: number): number {
  let depth = 0;
  for (let index = open; index < pieces.length; index += 1) {
    if (pieces[index]?.opens !== undefined) depth += 1;
    else if (pieces[index]?.closes === true) depth -= 1;
    if (depth === 0) return index;
  }
  return -1;
}

/** The bracket in which a piece stands. */
function openerOf(pieces: readonly Piece[], index: number): Piece | undefined {
  let depth = 0;
  for (let at = index - 1; at >= 0; at -= 1) {
    if (pieces[at]?.closes === true) depth += 1;
    else if (pieces[at]?.opens !== undefined) {
      if (depth === 0) return pieces[at];
      depth -= 1;
    }
  }
  return undefined;
}

/** Takes away parentheses that change nothing: around what is no operation in another, in one line. */
function dropParentheses(pieces: PlacedPiece[], roles: Roles): void {
  const needed = new Set([...roles.nested, ...roles.memberships].map(({ at, end }) => `${at}-${end}`));
  for (let open = pieces.length - 1; open >= 0; open -= 1) {
    const piece = pieces[open];
    if (piece?.opens !== "group") continue;
    const close = closeOf(pieces, open);
    const inner = pieces.slice(open + 1, close);
    const [first, last, next, before] = [inner[0], inner.at(-1), pieces[close + 1], pieces[open - 1]];
    if (first === undefined || last === undefined || close < 0) continue;
    const isBroken = [...inner, pieces[close]].some(
      (each) => each !== undefined && (each.gap.breaks || each.gap.comments.length > 0),
    );
    // Without them the head of a comprehension would go on in its body.
    if (openerOf(pieces, open)?.opens === "comprehension") continue;
    const isHead = next !== undefined && (next.text === "." || next.opens === "key" || next.opens === "arguments");
    if (isBroken || isHead || before?.isSign === true || before?.text === "-") continue;
    // What begins with a brace or has a bar would be read as something else where it stands.
    if (first.text === "{" || inner.some(({ text }) => text === "|") || needed.has(`${first.at}-${last.end}`)) continue;
    pieces.splice(close, 1);
    pieces.splice(open, 2, { ...first, isLiteral: piece.isLiteral || first.isLiteral, gap: piece.gap });
  }
}

function addParentheses(pieces: PlacedPiece[], roles: Roles): void {
  for (const { at, end } of roles.nested) {
    let first = pieces.findIndex((piece) => piece.at === at);
    const last = pieces.findLastIndex((piece) => piece.end === end);
    if (first < 0 || last < first) continue;
    // Parentheses around the beginning of the operation belong to it.
    while (isGroupWithin(pieces, first - 1, last)) first -= 1;
    const begin = pieces[first] as PlacedPiece; // within
    if (pieces[first - 1]?.opens === "group" && closeOf(pieces, first - 1) === last + 1) continue;
    pieces.splice(last + 1, 0, { ...PLAIN, text: ")", closes: true, at: -1, end: -1 });
    const open = { ...PLAIN, text: "(", opens: "group" as const, isLiteral: begin.isLiteral, gap: begin.gap };
    pieces.splice(first, 1, { ...open, at: -1, end: -1 }, { ...begin, isLiteral: false, gap: NO_GAP });
  }
}

function isGroupWithin(pieces: readonly PlacedPiece[], open: number, last: number): boolean {
  return pieces[open]?.opens === "group" && closeOf(pieces, open) <= last;
}

const NAME = /^"([A-Za-z_][A-Za-z0-9_]*)"$/;

/** Writes `["name"]` as `.name` where that is a name and stands behind one. */
function joinNames(pieces: PlacedPiece[], from: number): void {
  for (let index = pieces.length - 3; index > 0; index -= 1) {
    const [before, open, key, close] = pieces.slice(index - 1, index + 3);
    const name = NAME.exec(key?.text ?? "")?.[1];
    if (open?.opens !== "key" || close?.text !== "]" || key === undefined || name === undefined) continue;
    if (key.at < from) continue;
    const isPlain = [open, key, close].every(({ gap }) => !gap.breaks && gap.comments.length === 0);
    const isBehindName =
      /^[A-Za-z_]\w*$/.test(before?.text ?? "") || (before?.text === "]" && isKeyEnd(pieces, index - 1));
    if (!isPlain || !isBehindName || isReserved(name) || isReserved(before?.text ?? "")) continue;
    pieces.splice(
      index,
      3,
      { ...PLAIN, text: ".", at: open.at, end: open.end },
      { ...PLAIN, text: name, at: key.at, end: close.end },
    );
  }
}

/** Whether a bracket ends a step of a reference, and no list. */
function isKeyEnd(pieces: readonly Piece[], close: number): boolean {
  return openerOf(pieces, close)?.opens === "key";
}

function dropSemicolons(pieces: Piece[]): void {
  for (let index = pieces.length - 1; index >= 0; index -= 1) {
    const piece = pieces[index];
    if (piece?.text !== ";") continue;
    const next = pieces[index + 1];
    const before = pieces[index - 1];
    if (next !== undefined) next.gap = joinGaps(piece.gap, next.gap);
    // A minus in the next line would take away from what stands before it.
    if (next?.text === "-" && before !== undefined && before.text !== ";") before.text += ";";
    pieces.splice(index, 1);
  }
}

/** Finds the commas between items, and moves what stands before each behind it. */
function markSeparators(pieces: Piece[]): void {
  const open: Piece[] = [];
  for (const [index, piece] of pieces.entries()) {
    if (piece.opens !== undefined) open.push(piece);
    else if (piece.closes) open.pop();
    const role = open.at(-1)?.opens;
    if (piece.text !== "," || (role !== "items" && role !== "arguments")) continue;
    piece.isSeparator = true;
    const next = pieces[index + 1];
    if (next !== undefined) next.gap = joinGaps(piece.gap, next.gap);
    piece.gap = NO_GAP;
  }
}

/** Reads the templates of `strings.render_template` into a tree; see template.ts for what of Go's is there. */
import { parseNumber } from "../number.ts";
import type { Value } from "../value.ts";

export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipeline: TemplatePipeline }
  | TemplateBlock
  | { readonly kind: "break" | "continue" };

export interface TemplateBlock {
  readonly kind: "if" | "with" | "range";
  readonly pipeline: TemplatePipeline;
  readonly body: readonly TemplateNode[];
  readonly otherwise: readonly TemplateNode[];
}

export interface TemplatePipeline {
  /** Variables that get the value; `assigns` when they are there already. */
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly (readonly TemplateTerm[])[];
}

export type TemplateTerm =
  | { readonly kind: "literal"; readonly value: Value }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "dot"; readonly fields: readonly string[] }
  | { readonly kind: "variable"; readonly name: string; readonly fields: readonly string[] }
  | { readonly kind: "pipeline"; readonly pipeline: TemplatePipeline; readonly fields: readonly string[] };

export type TemplateRead =
  | { readonly kind: "template"; readonly nodes: readonly TemplateNode[] }
  | { readonly kind: "fault"; readonly message: string };

/** Blocks and parentheses deeper than this are refused. */
const DEPTH_MAX = 100;

class TemplateFault extends Error {}

export function parseTemplate(source: string): TemplateRead {
  try {
    return { kind: "template", nodes: new TemplateReader(piecesOf(source)).read() };
  } catch (cause) {
    if (cause instanceof TemplateFault) return { kind: "fault", message: cause.message }; // a text that is no template
    throw cause;
  }
}

type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly tokens: readonly string[] };

const TOKEN =
  /\s+|"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+'|\$[\p{L}\p{Nd}_]*|\.[\p{L}_][\p{L}\p{Nd}_]*|[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[\p{L}_][\p{L}\p{Nd}_]*|:=|[.|(),=]/uy;

/** Splits a template into texts and actions, with the trim marks done. */
function piecesOf(source: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trims = false;
  const addText = (text: string, trimsEnd: boolean) => {
    let kept = trims ? text.replace(/^[ \t\r\n]+/, "") : text;
    if (trimsEnd) kept = trimTail(kept);
    if (kept !== "") pieces.push({ kind: "text", text: kept });
  };
  for (;;) {
    const open = source.indexOf("{{", at);
    if (open < 0) break;
    let start = open + 2;
    const trimsBefore = source[start] === "-" && /\s/.test(source[start + 1] ?? "");
    if (trimsBefore) start += 2;
    addText(source.slice(at, open), trimsBefore);
    if (source.startsWith("/*", start)) {
      const end = source.indexOf("*/", start + 2);
      if (end < 0) throw new TemplateFault("unclosed comment");
      const close = /^(\s+-)?\}\}/.exec(source.slice(end + 2, end + 100));
      if (close === null) throw new TemplateFault("comment ends before closing delimiter");
      trims = close[1] !== undefined;
      at = end + 2 + close[0].length;
      continue;
    }
    const tokens: string[] = [];
    for (;;) {
      if (start >= source.length) throw new TemplateFault("unclosed action");
      if (source.startsWith("}}", start)) {
        trims = false;
        at = start + 2;
        break;
      }
      if (source.startsWith("-}}", start) && /\s/.test(source[start - 1] ?? "")) {
        trims = true;
        at = start + 3;
        break;
      }
      TOKEN.lastIndex = start;
      const token = TOKEN.exec(source)?.[0];
      if (token === undefined) throw new TemplateFault(`unexpected ${JSON.stringify(source[start])} in action`);
      start += token.length;
      // A space matters only before a field, which is then one of the dot.
      tokens.push(token.trim() === "" ? " " : token);
    }
    pieces.push({ kind: "action", tokens });
  }
  addText(source.slice(at), false);
  return pieces;
}

function trimTail(text: string): string {
  let end = text.length;
  while (end > 0 && " \t\r\n".includes(text[end - 1] ?? "x")) end -= 1;
  return text.slice(0, end);
}

class TemplateReader {
  readonly #pieces: readonly Piece[];
  #at = 0;
  #tokens: readonly string[] = [];
  #token = 0;
  #loops = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  read(): readonly TemplateNode[] {
    const { nodes, end } = this.#list(0);
    if (end !== undefined) throw new TemplateFault(`unexpected {{${end}}}`);
    return nodes;
  }

  /** Reads up to the end, or to an `else` or `end`, whose other words are left to be read. */
  #list(depth: number): { nodes: readonly TemplateNode[]; end: "else" | "end" | undefined } {
    if (depth > DEPTH_MAX) throw new TemplateFault(`deeper than ${DEPTH_MAX}`);
    const nodes: TemplateNode[] = [];
    for (let piece = this.#pieces[this.#at]; piece !== undefined; piece = this.#pieces[this.#at]) {
      this.#at += 1;
      if (piece.kind === "text") {
        nodes.push(piece);
        continue;
      }
      this.#tokens = piece.tokens;
      this.#token = 0;
      const word = this.#peek();
      switch (word) {
        case "else":
        case "end":
          this.#next();
          return { nodes, end: word };
        case "if":
        case "with":
        case "range":
          this.#next();
          nodes.push(this.#block(word, depth));
          break;
        case "break":
        case "continue":
          this.#next();
          if (this.#loops === 0) throw new TemplateFault(`{{${word}}} outside {{range}}`);
          nodes.push({ kind: word });
          break;
        case "define":
        case "template":
        case "block":
          throw new TemplateFault(`{{${word}}} is not offered`);
        default:
          nodes.push({ kind: "action", pipeline: this.#pipeline(depth) });
      }
      this.#finish();
    }
    return { nodes, end: undefined };
  }

  #block(kind: "if" | "with" | "range", depth: number): TemplateNode {
    const pipeline = this.#pipeline(depth);
    this.#finish();
    if (kind === "range") this.#loops += 1;
    const { nodes: body, end } = this.#list(depth + 1);
    if (kind === "range") this.#loops -= 1;
    if (end === undefined) throw new TemplateFault("unexpected EOF");
    let otherwise: readonly TemplateNode[] = [];
    if (end === "else") {
      const word = this.#peek();
      if (word === "if" || word === "with") {
        // `else if` is a block of its own within the `else`, and they share their end.
        this.#next();
        return { kind, pipeline, body, otherwise: [this.#block(word, depth + 1)] };
      }
      this.#finish();
      const rest = this.#list(depth + 1);
      if (rest.end !== "end") throw new TemplateFault(`expected end; found ${rest.end ?? "EOF"}`);
      otherwise = rest.nodes;
    }
    this.#finish();
    return { kind, pipeline, body, otherwise };
  }

  #pipeline(depth: number): TemplatePipeline {
    if (depth > DEPTH_MAX) throw new TemplateFault(`deeper than ${DEPTH_MAX}`);
    const start = this.#token;
    const variables: string[] = [];
    let assigns = false;
    for (let token = this.#peek(); token?.startsWith("$"); token = this.#peek()) {
      variables.push(this.#next());
      if (this.#peek() === ",") {
        this.#next();
        continue;
      }
      break;
    }
    const mark = this.#peek();
    if (variables.length > 0 && (mark === ":=" || mark === "=")) {
      assigns = mark === "=";
      this.#next();
    } else {
      this.#token = start;
      variables.length = 0;
    }
    const commands: TemplateTerm[][] = [[]];
    for (let token = this.#peek(); token !== undefined && token !== ")"; token = this.#peek()) {
      if (token === "|") {
        this.#next();
        commands.push([]);
      } else commands.at(-1)?.push(this.#term(depth));
    }
    if (commands.some((command) => command.length === 0)) throw new TemplateFault("missing value for command");
    return { variables, assigns, commands };
  }

  #term(depth: number): TemplateTerm {
    const token = this.#next();
    if (token === "(") {
      const pipeline = this.#pipeline(depth + 1);
      if (this.#next() !== ")") throw new TemplateFault("unclosed left paren");
      return { kind: "pipeline", pipeline, fields: this.#fields() };
    }
    if (token === ".") return { kind: "dot", fields: [] };
    if (token.startsWith(".") && !/^\.\d/.test(token))
      return { kind: "dot", fields: [token.slice(1), ...this.#fields()] };
    if (token.startsWith("$")) return { kind: "variable", name: token, fields: this.#fields() };
    if (/^["`']/.test(token)) return { kind: "literal", value: textOf(token) };
    if (token === "true" || token === "false") return { kind: "literal", value: token === "true" };
    if (token === "nil") return { kind: "literal", value: null };
    if (/^[-+.\d]/.test(token)) {
      const plain = token
        .replaceAll("_", "")
        .replace(/^\+/, "")
        .replace(/^(-?)\./, "$10.")
        .replace(/\.(?=$|[eE])/, "");
      const value = parseNumber(plain);
      if (value === undefined) throw new TemplateFault(`bad number syntax: ${JSON.stringify(token)}`);
      return { kind: "literal", value };
    }
    if (/^[\p{L}_]/u.test(token)) return { kind: "function", name: token };
    throw new TemplateFault(`unexpected ${JSON.stringify(token)} in operand`);
  }

  /** Fields that follow without a space. */
  #fields(): readonly string[] {
    const fields: string[] = [];
    for (let token = this.#tokens[this.#token]; token !== undefined; token = this.#tokens[this.#token]) {
      if (!/^\.[\p{L}_]/u.test(token)) break;
      fields.push(token.slice(1));
      this.#token += 1;
    }
    return fields;
  }

  #peek(): string | undefined {
    while (this.#tokens[this.#token] === " ") this.#token += 1;
    return this.#tokens[this.#token];
  }

  #next(): string {
    const token = this.#peek();
    if (token === undefined) throw new TemplateFault("unexpected end of action");
    this.#token += 1;
    return token;
  }

  #finish(): void {
    const token = this.#peek();
    if (token !== undefined) throw new TemplateFault(`unexpected ${JSON.stringify(token)} in action`);
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
  ["a", "\u0007"],
  ["b", "\b"],
  ["f", "\f"],
  ["v", "\v"],
]);

/** The text in quotes; a character in single quotes is its code, as in Go. */
function textOf(token: string): Value {
  const inner = token.slice(1, -1);
  if (token.startsWith("`")) return inner;
  const text = inner.replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g, (_, byte, code, character: string) => {
    if (byte !== undefined || code !== undefined) return String.fromCharCode(Number.parseInt(byte ?? code, 16));
    return ESCAPES.get(character) ?? character;
  });
  return token.startsWith("'") ? (text.codePointAt(0) ?? 0) : text;
}

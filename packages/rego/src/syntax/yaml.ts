/**
 * The part of YAML that METADATA comments are written in: block mappings and sequences, flow collections on one line,
 * plain and quoted scalars, and texts after `|` and `>`. No anchors, tags, directives or several documents; what is not
 * understood is a fault, never a guess.
 */
import { parseNumber } from "../number.ts";
import { setMember, type Value } from "../value.ts";

export type YamlRead =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "fault"; readonly message: string };

const DEPTH_MAX = 40;

class YamlFault extends Error {}

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

export function readYaml(lines: readonly string[]): YamlRead {
  const indents = lines.filter((line) => line.trim() !== "").map(indentOf);
  const base = indents.reduce((least, indent) => Math.min(least, indent), Number.POSITIVE_INFINITY);
  const reader = new YamlReader(lines.map((line) => line.slice(Number.isFinite(base) ? base : 0).trimEnd()));
  try {
    return { kind: "value", value: reader.document() };
  } catch (cause) {
    if (cause instanceof YamlFault) return { kind: "fault", message: cause.message }; // a text that is no YAML of ours
    throw cause;
  }
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

class YamlReader {
  readonly #raw: readonly string[];
  #at = 0;

  constructor(raw: readonly string[]) {
    this.#raw = raw;
  }

  document(): Value {
    const first = this.#peek();
    if (first === undefined) return null;
    const value = this.#block(first.indent, 0);
    const rest = this.#peek();
    if (rest !== undefined) throw new YamlFault(`line ${rest.number}: unexpected ${JSON.stringify(rest.text)}`);
    return value;
  }

  /** The next line that is neither empty nor a comment. */
  #peek(): Line | undefined {
    for (; this.#at < this.#raw.length; this.#at += 1) {
      const raw = this.#raw[this.#at] as string; // within
      const text = raw.trim();
      if (text === "" || text.startsWith("#")) continue;
      if (/^\t/.test(raw.slice(indentOf(raw.replace(/\t/g, "x"))))) throw new YamlFault("tabs cannot indent");
      return { number: this.#at + 1, indent: indentOf(raw), text };
    }
    return undefined;
  }

  #block(indent: number, depth: number): Value {
    if (depth > DEPTH_MAX) throw new YamlFault(`deeper than ${DEPTH_MAX}`);
    const line = this.#peek();
    if (line === undefined || line.indent < indent) return null;
    if (line.text === "-" || line.text.startsWith("- ")) return this.#sequence(line.indent, depth);
    if (splitKey(line.text) !== undefined) return this.#mapping(line.indent, depth);
    this.#at += 1;
    let text = line.text;
    for (let next = this.#peek(); next !== undefined && next.indent >= indent; next = this.#peek()) {
      text += ` ${next.text}`;
      this.#at += 1;
    }
    return readFlow(text);
  }

  #sequence(indent: number, depth: number): Value {
    const items: Value[] = [];
    for (;;) {
      const line = this.#peek();
      if (line === undefined || line.indent !== indent || !(line.text === "-" || line.text.startsWith("- "))) break;
      const rest = line.text.slice(1).trim();
      if (rest === "") {
        this.#at += 1;
        items.push(this.#block(indent + 1, depth + 1));
      } else if (splitKey(rest) !== undefined || rest.startsWith("- ")) {
        // The item is a block of its own that begins on this line.
        const inner = indent + line.text.length - rest.length;
        (this.#raw as string[])[this.#at] = " ".repeat(inner) + rest; // the reader's own copy
        items.push(this.#block(inner, depth + 1));
      } else {
        this.#at += 1;
        items.push(this.#inline(rest, indent));
      }
    }
    const next = this.#peek();
    if (next !== undefined && next.indent > indent) throw new YamlFault(`line ${next.number}: wrong indentation`);
    return items;
  }

  #mapping(indent: number, depth: number): Value {
    const object: Record<string, Value> = {};
    for (;;) {
      const line = this.#peek();
      if (line === undefined || line.indent < indent) break;
      const pair = splitKey(line.text);
      if (line.indent !== indent || pair === undefined) {
        throw new YamlFault(`line ${line.number}: could not find expected ':'`);
      }
      const [key, rest] = pair;
      if (Object.hasOwn(object, key))
        throw new YamlFault(`line ${line.number}: key ${JSON.stringify(key)} is there twice`);
      this.#at += 1;
      if (rest !== "") setMember(object, key, this.#inline(rest, indent));
      else {
        const next = this.#peek();
        const nested =
          next !== undefined && (next.indent > indent || (next.indent === indent && /^-( |$)/.test(next.text)));
        setMember(object, key, nested ? this.#block(next.indent, depth + 1) : null);
      }
    }
    return object;
  }

  /** A value that begins on the line of its key or dash. */
  #inline(text: string, indent: number): Value {
    const style = /^([|>])([+-]?)(?:\s+#.*)?$/.exec(text);
    if (style !== null) return this.#text(style[1] === ">", style[2] ?? "", indent);
    let whole = text;
    if (!/^["'[{]/.test(text)) {
      for (let next = this.#peek(); next !== undefined && next.indent > indent; next = this.#peek()) {
        whole += ` ${next.text}`;
        this.#at += 1;
      }
    }
    return readFlow(whole);
  }

  #text(folded: boolean, chomp: string, indent: number): string {
    const lines: string[] = [];
    let base: number | undefined;
    for (; this.#at < this.#raw.length; this.#at += 1) {
      const raw = this.#raw[this.#at] as string; // within
      if (raw.trim() !== "") {
        if (indentOf(raw) <= indent) break;
        base ??= indentOf(raw);
      }
      lines.push(raw.slice(base ?? 0));
    }
    while (chomp !== "+" && lines.at(-1)?.trim() === "") lines.pop();
    const text = folded ? lines.join("\n").replace(/([^\n])\n(?=[^\n\s])/g, "$1 ") : lines.join("\n");
    return chomp === "-" || text === "" ? text : `${text}\n`;
  }
}

/** `key: rest` of a line; undefined when it is none. */
function splitKey(text: string): [string, string] | undefined {
  const match =
    /^(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^\s"'[\]{}#&*!|>%@`,-][^#]*?|-[^\s#][^#]*?))\s*:(?:\s+(.*))?$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, double, single, plain, rest = ""] = match;
  if (plain?.includes(": ")) {
    const at = plain.indexOf(": ");
    return [plain.slice(0, at), stripComment(text.slice(at + 2).trim())];
  }
  const key = double !== undefined ? unquote(`"${double}"`) : (single?.replaceAll("''", "'") ?? plain ?? "");
  return [key, stripComment(rest.trim())];
}

function stripComment(text: string): string {
  if (/^["'[{]/.test(text)) return text;
  if (text.startsWith("#")) return "";
  const at = text.search(/\s#/);
  return at < 0 ? text : text.slice(0, at).trimEnd();
}

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string; // in quotes, so a string or no JSON
  } catch {
    throw new YamlFault(`wrong escape in ${text}`); // a fault of the text
  }
}

/** A scalar or a flow collection, all on one line. */
function readFlow(text: string): Value {
  const reader = new FlowReader(text);
  const value = reader.value(0, false);
  reader.end();
  return value;
}

class FlowReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  end(): void {
    const rest = this.#text.slice(this.#at).trim();
    if (rest !== "" && !rest.startsWith("#")) throw new YamlFault(`unexpected ${JSON.stringify(rest)}`);
  }

  value(depth: number, inside: boolean): Value {
    if (depth > DEPTH_MAX) throw new YamlFault(`deeper than ${DEPTH_MAX}`);
    this.#space();
    switch (this.#text[this.#at]) {
      case "[":
        return this.#sequence(depth);
      case "{":
        return this.#mapping(depth);
      case '"':
      case "'":
        return this.#quoted();
      default:
        return this.#plain(inside);
    }
  }

  #sequence(depth: number): Value {
    const items: Value[] = [];
    this.#at += 1;
    while (!this.#take("]")) {
      items.push(this.value(depth + 1, true));
      if (this.#take("]")) break;
      if (!this.#take(",")) throw new YamlFault("expected , or ]");
    }
    return items;
  }

  #mapping(depth: number): Value {
    const object: Record<string, Value> = {};
    this.#at += 1;
    while (!this.#take("}")) {
      this.#space();
      const quoted = this.#text[this.#at] === '"' || this.#text[this.#at] === "'";
      const key = quoted ? this.#quoted() : this.#key();
      if (!this.#take(":")) throw new YamlFault("expected : in a mapping");
      setMember(object, key, this.value(depth + 1, true));
      if (this.#take("}")) break;
      if (!this.#take(",")) throw new YamlFault("expected , or }");
    }
    return object;
  }

  #key(): string {
    const match = /^[^:,{}[\]]+/.exec(this.#text.slice(this.#at));
    if (match === null) throw new YamlFault("expected a key");
    this.#at += match[0].length;
    return match[0].trim();
  }

  #quoted(): string {
    const rest = this.#text.slice(this.#at);
    const match = rest.startsWith('"') ? /^"(?:[^"\\]|\\.)*"/.exec(rest) : /^'(?:[^']|'')*'/.exec(rest);
    if (match === null) throw new YamlFault("a quoted text does not end");
    this.#at += match[0].length;
    return match[0].startsWith('"') ? unquote(match[0]) : match[0].slice(1, -1).replaceAll("''", "'");
  }

  #plain(inside: boolean): Value {
    const rest = this.#text.slice(this.#at);
    const text = (inside ? (/^[^,[\]{}]*/.exec(rest)?.[0] ?? "") : rest).trim();
    if (/^[&*!%@`|>]/.test(text)) throw new YamlFault(`${JSON.stringify(text)} is not understood here`);
    if (!inside && /:\s/.test(text)) throw new YamlFault("mapping values are not allowed in this context");
    this.#at += inside ? (/^[^,[\]{}]*/.exec(rest)?.[0].length ?? 0) : rest.length;
    return scalarOf(text);
  }

  #space(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at += 1;
  }

  #take(mark: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== mark) return false;
    this.#at += 1;
    return true;
  }
}

function scalarOf(text: string): Value {
  if (text === "" || text === "~" || /^(?:null|Null|NULL)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  return parseNumber(text) ?? text;
}

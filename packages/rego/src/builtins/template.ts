/**
 * `strings.render_template`: the part of Go's `text/template` that makes a text of values. Actions, pipelines, variables,
 * `if`, `with`, `range` (with `else`, `break` and `continue`), comments and trim marks are here, and the functions that
 * need nothing but their arguments; `define`, `template`, `block` and `call` are not.
 *
 * A template is read into a tree and the tree is run. What is no value (a key that is not there) is written
 * `<undefined>`.
 */
import { compareNumbers, writeNumber } from "../number.ts";
import { ANY, dictionaryOf, STRING } from "../types.ts";
import {
  compareValues,
  equalValues,
  isArray,
  isNumber,
  isObject,
  isSet,
  kindOf,
  lookUp,
  objectSize,
  sortedEntries,
  type Value,
} from "../value.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  builtin,
  builtinError,
  objectOperand,
  stringOperand,
} from "./builtin.ts";
import { sprintf } from "./sprintf.ts";
import {
  parseTemplate,
  type TemplateBlock,
  type TemplateNode,
  type TemplatePipeline,
  type TemplateTerm,
} from "./template-parser.ts";
import { countCharacters, spendText } from "./text.ts";

export const TEMPLATE: readonly Builtin[] = [
  builtin("strings.render_template", [STRING, dictionaryOf(STRING, ANY)], STRING, (environment, template, values) => {
    const text = stringOperand(template, 1);
    const root = objectOperand(values, 2);
    const tree = environment.prepared.get("strings.render_template", text, (source) => {
      environment.spend(10 + source.length);
      const read = parseTemplate(source);
      if (read.kind === "fault") throw builtinError(`template: template:1: ${read.message}`);
      return read.nodes;
    });
    const run = new TemplateRun(environment, root);
    run.nodes(tree, root);
    return run.text;
  }),
];

/** A value, or nothing where a key is not there. */
type Datum = Value | undefined;

/** What ends a turn of a `range`. */
type Leave = "break" | "continue" | undefined;

class TemplateRun {
  text = "";
  readonly #environment: BuiltinEnvironment;
  readonly #scopes: Map<string, Datum>[];

  constructor(environment: BuiltinEnvironment, root: Value) {
    this.#environment = environment;
    this.#scopes = [new Map<string, Datum>([["$", root]])];
  }

  nodes(nodes: readonly TemplateNode[], dot: Datum): Leave {
    for (const node of nodes) {
      const leave = this.#node(node, dot);
      if (leave !== undefined) return leave;
    }
    return undefined;
  }

  #node(node: TemplateNode, dot: Datum): Leave {
    this.#environment.spend(5);
    switch (node.kind) {
      case "text":
        this.#write(node.text);
        return undefined;
      case "action": {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.variables.length === 0)
          this.#write(value === undefined || value === null ? "<undefined>" : writeDatum(value));
        return undefined;
      }
      case "if":
      case "with":
        return this.#inScope(() => {
          const value = this.#pipeline(node.pipeline, dot);
          if (!isTrue(value)) return this.nodes(node.otherwise, dot);
          return this.nodes(node.body, node.kind === "with" ? value : dot);
        });
      case "range":
        return this.#inScope(() => this.#range(node, dot));
      case "break":
      case "continue":
        return node.kind;
    }
  }

  #range(node: TemplateBlock, dot: Datum): Leave {
    const { variables } = node.pipeline;
    const entries = this.#entries(this.#pipeline({ ...node.pipeline, variables: [] }, dot));
    if (entries.length === 0) return this.nodes(node.otherwise, dot);
    for (const [key, value] of entries) {
      const leave = this.#inScope(() => {
        const [first, second] = variables;
        if (second !== undefined) {
          this.#declare(first ?? "", key);
          this.#declare(second, value);
        } else if (first !== undefined) this.#declare(first, value);
        return this.nodes(node.body, value);
      });
      if (leave === "break") break;
    }
    return undefined;
  }

  #entries(value: Datum): readonly (readonly [Value, Value])[] {
    if (value === undefined || value === null) return [];
    if (isArray(value)) return value.map((item, index) => [index, item] as const);
    if (isSet(value)) return value.sorted().map((item, index) => [index, item] as const);
    if (isObject(value)) return sortedEntries(value);
    if (typeof value === "number" && Number.isInteger(value)) {
      this.#environment.spend(Math.max(0, value));
      return Array.from({ length: Math.max(0, value) }, (_, index) => [index, index] as const);
    }
    throw builtinError(`range can't iterate over ${writeDatum(value)}`);
  }

  #inScope(work: () => Leave): Leave {
    this.#scopes.push(new Map());
    const leave = work();
    this.#scopes.pop();
    return leave;
  }

  #declare(name: string, value: Datum): void {
    this.#scopes.at(-1)?.set(name, value);
  }

  #pipeline(pipeline: TemplatePipeline, dot: Datum): Datum {
    let value: Datum;
    for (const [index, command] of pipeline.commands.entries()) {
      const [first, ...rest] = command;
      if (first === undefined) continue;
      if (first.kind === "function") {
        value = this.#call(first.name, rest, dot, index > 0 ? [value] : []);
      } else if (rest.length > 0 || index > 0) throw builtinError("can't give argument to non-function");
      else value = this.#term(first, dot);
    }
    for (const name of pipeline.variables) {
      if (!pipeline.assigns) this.#declare(name, value);
      else this.#scopes.findLast((scope) => scope.has(name))?.set(name, value);
    }
    return value;
  }

  #term(term: TemplateTerm, dot: Datum): Datum {
    switch (term.kind) {
      case "literal":
        return term.value;
      case "function":
        return this.#call(term.name, [], dot, []);
      case "dot":
        return this.#fields(dot, term.fields);
      case "variable": {
        const scope = this.#scopes.findLast((each) => each.has(term.name));
        if (scope === undefined) throw builtinError(`undefined variable ${JSON.stringify(term.name)}`);
        return this.#fields(scope.get(term.name), term.fields);
      }
      case "pipeline":
        return this.#fields(this.#pipeline(term.pipeline, dot), term.fields);
    }
  }

  #fields(start: Datum, fields: readonly string[]): Datum {
    let value = start;
    for (const field of fields) {
      if (value === undefined || value === null) {
        throw builtinError(`nil data; no entry for key ${JSON.stringify(field)}`);
      }
      if (!isObject(value)) throw builtinError(`can't evaluate field ${field} in type ${kindOf(value)}`);
      value = lookUp(value, field);
    }
    return value;
  }

  #call(name: string, terms: readonly TemplateTerm[], dot: Datum, piped: readonly Datum[]): Datum {
    // These two look at their arguments one after another, and only as far as they must.
    if (name === "and" || name === "or") {
      let value: Datum;
      for (const term of terms) {
        value = this.#term(term, dot);
        if (isTrue(value) !== (name === "and")) return value;
      }
      return piped.length > 0 ? piped[0] : value;
    }
    const args = [...terms.map((term) => this.#term(term, dot)), ...piped];
    const run = FUNCTIONS.get(name);
    if (run === undefined) throw builtinError(`function ${JSON.stringify(name)} not defined`);
    const value = run(args, this.#environment);
    if (typeof value === "string") spendText(this.#environment, value.length);
    return value;
  }

  #write(text: string): void {
    spendText(this.#environment, text.length);
    this.text += text;
  }
}

type TemplateFunction = (args: readonly Datum[], environment: BuiltinEnvironment) => Datum;

const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ["not", (args) => !isTrue(argument(args, 0))],
  ["len", (args) => lengthOf(argument(args, 0))],
  ["index", ([start, ...steps]) => steps.reduce(indexInto, start)],
  ["slice", (args) => slice(args)],
  ["print", (args) => print(args)],
  ["println", (args) => `${args.map(writeDatum).join(" ")}\n`],
  ["printf", ([format, ...rest], environment) => printf(environment, format, rest)],
  ["html", (args) => escapeText(print(args), HTML)],
  ["js", (args) => escapeText(print(args), SCRIPT)],
  ["urlquery", (args) => queryOf(print(args))],
  ["eq", ([first, ...others]) => others.some((other) => equal(first, other))],
  ["ne", (args) => !equal(argument(args, 0), argument(args, 1))],
  ["lt", (args) => order(args) < 0],
  ["le", (args) => order(args) <= 0],
  ["gt", (args) => order(args) > 0],
  ["ge", (args) => order(args) >= 0],
]);

function argument(args: readonly Datum[], index: number): Datum {
  if (index >= args.length) throw builtinError("wrong number of args");
  return args[index];
}

function isTrue(value: Datum): boolean {
  if (value === undefined || value === null || value === false || value === "" || value === 0) return false;
  if (isArray(value)) return value.length > 0;
  if (isSet(value)) return value.size > 0;
  return isObject(value) ? objectSize(value) > 0 : true;
}

function equal(a: Datum, b: Datum): boolean {
  return a === undefined || b === undefined ? a === b : equalValues(a, b);
}

function order(args: readonly Datum[]): number {
  const a = argument(args, 0);
  const b = argument(args, 1);
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (typeof a === "string" && typeof b === "string") return compareValues(a, b);
  throw builtinError("incompatible types for comparison");
}

function lengthOf(value: Datum): number {
  if (typeof value === "string") return new TextEncoder().encode(value).length;
  if (isArray(value)) return value.length;
  if (isSet(value)) return value.size;
  if (isObject(value)) return objectSize(value);
  throw builtinError("len of what has no length");
}

function indexInto(value: Datum, step: Datum): Datum {
  if (value === undefined || value === null) throw builtinError("index of untyped nil");
  if (isObject(value)) return step === undefined ? undefined : lookUp(value, step);
  if (!isArray(value)) throw builtinError(`can't index item of type ${kindOf(value)}`);
  const item = typeof step === "number" ? value[step] : undefined;
  if (item === undefined) throw builtinError(`index out of range: ${writeDatum(step)}`);
  return item;
}

function slice([value, from, to]: readonly Datum[]): Datum {
  const start = from === undefined ? 0 : from;
  if (typeof start !== "number" || (to !== undefined && typeof to !== "number")) {
    throw builtinError("cannot index slice/array with that type");
  }
  const length = typeof value === "string" ? countCharacters(value) : isArray(value) ? value.length : -1;
  if (length < 0) throw builtinError("can't slice item of that type");
  const end = to ?? length;
  if (start < 0 || end > length || start > end) throw builtinError("index out of range");
  return typeof value === "string"
    ? [...value].slice(start, end).join("")
    : (value as readonly Value[]).slice(start, end); // one of the two
}

/** Texts one after another, with a space between two that are no strings. */
function print(args: readonly Datum[]): string {
  let text = "";
  for (const [index, arg] of args.entries()) {
    if (index > 0 && typeof arg !== "string" && typeof args[index - 1] !== "string") text += " ";
    text += writeDatum(arg);
  }
  return text;
}

function printf(environment: BuiltinEnvironment, format: Datum, args: readonly Datum[]): string {
  if (typeof format !== "string") throw builtinError("wrong type for value; expected string");
  // Collections are written as templates write them.
  const values = args.map((arg) => (isNumber(arg) ? arg : writeDatum(arg)));
  return sprintf(environment, format, values);
}

/** A value as Go's `%v` writes what JSON became. */
function writeDatum(value: Datum): string {
  if (value === undefined || value === null) return "<nil>";
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  if (isNumber(value)) return writeNumber(value);
  if (isArray(value)) return `[${value.map(writeDatum).join(" ")}]`;
  if (isSet(value)) return `[${value.sorted().map(writeDatum).join(" ")}]`;
  return `map[${sortedEntries(value)
    .map(([key, member]) => `${writeDatum(key)}:${writeDatum(member)}`)
    .join(" ")}]`;
}

const HTML: ReadonlyMap<string, string> = new Map([
  ['"', "&#34;"],
  ["'", "&#39;"],
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ["\u0000", "\ufffd"],
]);

const SCRIPT: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["'", "\\'"],
  ['"', '\\"'],
  ["<", "\\u003C"],
  [">", "\\u003E"],
  ["&", "\\u0026"],
  ["=", "\\u003D"],
  ["\n", "\\u000A"],
  ["\r", "\\u000D"],
  ["\t", "\\u0009"],
]);

function escapeText(text: string, escapes: ReadonlyMap<string, string>): string {
  let escaped = "";
  for (const character of text) escaped += escapes.get(character) ?? character;
  return escaped;
}

function queryOf(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

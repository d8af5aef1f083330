/**
 * Built-ins that read and write YAML. What a plain scalar stands for is decided here, as OPA's library decides it (`yes`
 * and `on` are booleans, dates are strings), and not by a schema of the parser's.
 */
import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, parseAllDocuments, type Scalar } from "yaml";
import { writeJson } from "../json.ts";
import { numberOfBigint, parseNumber } from "../number.ts";
import { ANY, BOOLEAN, STRING } from "../types.ts";
import { isArray, isObject, isSet, ObjectBuilder, sortedEntries, type Value } from "../value.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  BuiltinError,
  builtin,
  builtinError,
  stringOperand,
} from "./builtin.ts";

export const YAML: readonly Builtin[] = [
  builtin("yaml.marshal", [ANY], STRING, (environment, value) => `${blockOf(environment, value, "")}\n`),
  builtin("yaml.unmarshal", [STRING], ANY, (environment, text) => readYaml(environment, stringOperand(text, 1))),
  builtin("yaml.is_valid", [STRING], BOOLEAN, (environment, text) => {
    if (typeof text !== "string") return false;
    try {
      readYaml(environment, text);
      return true;
    } catch (cause) {
      // Telling whether it is YAML is what was asked for.
      if (cause instanceof BuiltinError) return false;
      throw cause;
    }
  }),
];

/** Deeper YAML is refused, and so is an alias within what it stands for. */
const DEPTH_MAX = 1_000;

/** The first document of a text. */
function readYaml(environment: BuiltinEnvironment, text: string): Value {
  environment.spend(20 * (1 + text.length));
  if (isDeep(text)) throw builtinError(`yaml: deeper than ${DEPTH_MAX}`);
  // Every scalar is read as a text, so that `scalarOf` decides.
  const documents = parseAllDocuments(text, {
    schema: "failsafe",
    uniqueKeys: false,
    version: "1.1",
    logLevel: "error",
  });
  const [document] = documents;
  if (!Array.isArray(documents) || document === undefined) return null;
  const [error] = document.errors;
  if (error !== undefined) {
    const [summary = ""] = error.message.split(" at line ");
    const expected = /end with a ([\]}])/.exec(summary)?.[1];
    const problem = expected === undefined ? summary : `did not find expected ',' or '${expected}'`;
    throw builtinError(`yaml: line ${error.linePos?.[0].line ?? 1}: ${problem}`);
  }
  return new NodeReader(environment, document).value(document.contents, 0);
}

/** Whether more brackets are open at some place than may be, so that the parser need not find out. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (const character of text) {
    if (character === "[" || character === "{") depth += 1;
    else if (character === "]" || character === "}") depth = Math.max(0, depth - 1);
    if (depth > DEPTH_MAX) return true;
  }
  return false;
}

class NodeReader {
  readonly #environment: BuiltinEnvironment;
  readonly #document: Document;
  /** What aliases stand for, so that each is made once; undefined while it is being made. */
  readonly #known = new Map<unknown, Value | undefined>();

  constructor(environment: BuiltinEnvironment, document: Document) {
    this.#environment = environment;
    this.#document = document;
  }

  value(node: unknown, depth: number): Value {
    this.#environment.spend(1);
    if (depth > DEPTH_MAX) throw builtinError(`yaml: deeper than ${DEPTH_MAX}`);
    if (isAlias(node)) return this.#alias(node, depth);
    if (isSeq(node)) return node.items.map((item) => this.value(item, depth + 1));
    if (isMap(node)) {
      const object = new ObjectBuilder();
      for (const { key, value } of node.items) {
        const member = this.value(value, depth + 1);
        if (isScalar(key) && key.type === "PLAIN" && key.value === "<<") merge(object, member);
        else object.set(keyText(this.value(key, depth + 1)), member);
      }
      return object.finish();
    }
    return isScalar(node) ? scalarOf(node) : null;
  }

  #alias(alias: Alias, depth: number): Value {
    const target = alias.resolve(this.#document);
    if (target === undefined) throw builtinError(`yaml: unknown anchor '${alias.source}' referenced`);
    const known = this.#known.get(target);
    if (known !== undefined) return known;
    if (this.#known.has(target)) throw builtinError(`yaml: anchor '${alias.source}' value contains itself`);
    this.#known.set(target, undefined);
    const value = this.value(target, depth + 1);
    this.#known.set(target, value);
    return value;
  }
}

/** Puts in the members of other objects, behind those that are there. */
function merge(object: ObjectBuilder, value: Value): void {
  for (const source of isArray(value) ? value : [value]) {
    if (!isObject(source)) throw builtinError("yaml: map merge requires map or sequence of maps as the value");
    for (const [key, member] of sortedEntries(source)) if (object.get(key) === undefined) object.set(key, member);
  }
}

function keyText(value: Value): string {
  return typeof value === "string" ? value : writeJson(value);
}

function scalarOf({ value, type, tag }: Scalar): Value {
  const text = typeof value === "string" ? value : "";
  if (tag === "tag:yaml.org,2002:str" || (type !== "PLAIN" && type !== undefined)) return text;
  return plainValue(text);
}

/** What a scalar without quotes stands for. */
function plainValue(text: string): Value {
  if (/^(?:~|null|Null|NULL|)$/.test(text)) return null;
  if (/^(?:y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE)$/.test(text)) return true;
  if (/^(?:n|N|no|No|NO|off|Off|OFF|false|False|FALSE)$/.test(text)) return false;
  if (/^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/.test(text)) {
    throw builtinError(`yaml: ${text} is no number in JSON`);
  }
  if (!/^[-+.\d]/.test(text)) return text;
  const digits = text.replaceAll("_", "");
  const whole = /^([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9]\d*)$/.exec(digits);
  if (whole !== null) {
    const [, sign, body = ""] = whole;
    const literal = body.replace(/^0(?=[0-7])/, "0o");
    const integer = BigInt(literal);
    return numberOfBigint(sign === "-" ? -integer : integer);
  }
  const decimal = /^([-+]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))([eE][-+]?\d{1,9})?$/.exec(digits);
  if (decimal === null) return text;
  const [, sign, before = "0", after = "", only = "", exponent = ""] = decimal;
  const number = parseNumber(
    `${sign === "-" ? "-" : ""}${before.replace(/^0+(?=\d)/, "")}${after + only === "" ? "" : `.${after}${only}`}${exponent}`,
  );
  return number ?? text;
}

/** A value in block style: what follows a key on the same line, or begins on the next line when it is a collection. */
function blockOf(environment: BuiltinEnvironment, value: Value, indent: string): string {
  environment.spend(1 + (indent.length >> 3));
  if (isArray(value) || isSet(value)) {
    const items = isSet(value) ? value.sorted() : value;
    if (items.length === 0) return "[]";
    return items.map((item) => `- ${blockOf(environment, item, `${indent}  `)}`).join(`\n${indent}`);
  }
  if (isObject(value)) {
    const entries = sortedEntries(value);
    if (entries.length === 0) return "{}";
    return entries
      .map(([key, member]) => `${textOf(keyText(key), undefined)}:${memberText(environment, member, indent)}`)
      .join(`\n${indent}`);
  }
  return typeof value === "string" ? textOf(value, indent) : writeJson(value);
}

function memberText(environment: BuiltinEnvironment, value: Value, indent: string): string {
  const block = (inner: string) => blockOf(environment, value, inner);
  if (isArray(value) || isSet(value)) {
    const size = isSet(value) ? value.size : value.length;
    return size === 0 ? " []" : `\n${indent}${block(indent)}`;
  }
  if (isObject(value)) {
    const inner = `${indent}  `;
    return sortedEntries(value).length === 0 ? " {}" : `\n${inner}${block(inner)}`;
  }
  return ` ${block(`${indent}  `)}`;
}

/** A text as it stands where that is safe, over several lines where it has them and an indent is given, or in quotes. */
function textOf(text: string, indent: string | undefined): string {
  if (isPlain(text)) return text;
  const lines = text.split("\n");
  const isText = lines.every((line) => PRINTABLE.test(line) && !line.endsWith(" "));
  if (indent !== undefined && lines.length > 1 && isText && !/^\s/.test(text)) {
    const body = text.replace(/\n+$/, "");
    const end = text.length - body.length;
    const mark = end === 0 ? "|-" : end === 1 ? "|" : "|+";
    const inner = indent === "" ? "  " : indent;
    const shown = lines.slice(0, end === 0 ? lines.length : -1);
    return `${mark}\n${shown.map((line) => (line === "" ? "" : inner + line)).join("\n")}`;
  }
  if (!PRINTABLE.test(text) || isOther(text)) return JSON.stringify(text);
  return `'${text.replaceAll("'", "''")}'`;
}

/** Characters that YAML takes as they are. */
const PRINTABLE = /^[\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe]*$/;

function isPlain(text: string): boolean {
  return (
    /^(?:[^\s\-?:,[\]{}#&*!|>'"%@`]|[-?:][^\s,[\]{}])[\u0020-\u007e\u00a0-\ud7ff]*$/.test(text) &&
    !/: |:$| #| $|[,[\]{}]/.test(text) &&
    !/^(?:---|\.\.\.)/.test(text) &&
    !isOther(text)
  );
}

/** Whether a text without quotes would not be read as a string. */
function isOther(text: string): boolean {
  if (text === "<<" || /^[-+]?\.(?:inf|nan)$/i.test(text)) return true;
  return typeof plainValue(text) !== "string" || /^\d{4}-\d/.test(text) || text === "=";
}

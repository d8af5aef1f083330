/**
 * Reads YAML: documents for `yaml.unmarshal` and the command, and METADATA comments. What a plain scalar stands for is
 * decided here, as OPA's library decides it (only `true` and `false` are booleans, dates are strings), and not by a schema
 * of the parser's.
 */
import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, parseAllDocuments, type Scalar } from "yaml";
import { burn } from "./fuel.ts";
import { writeJson } from "./json.ts";
import { doubleOfNumber, numberOfBigint, parseNumber } from "./number.ts";
import { isArray, isObject, ObjectBuilder, sortedEntries, type Value } from "./value.ts";

export type YamlRead =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "fault"; readonly message: string };

class YamlFault extends Error {}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what YAML does not let stand in a text.
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Deeper YAML is refused, and so is an alias within what it stands for. */
const DEPTH_MAX = 1_000;

/** Reads the first document of a text. */
export function readYaml(text: string): YamlRead {
  try {
    return { kind: "value", value: read(text) };
  } catch (cause) {
    if (cause instanceof YamlFault) return { kind: "fault", message: `yaml: ${cause.message}` }; // a text that is no YAML
    throw cause;
  }
}

function read(text: string): Value {
  burn(20 * (1 + text.length));
  if (isDeep(text)) throw new YamlFault(`deeper than ${DEPTH_MAX}`);
  if (CONTROLS.test(text)) throw new YamlFault("control characters are not allowed");
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
    throw new YamlFault(`line ${error.linePos?.[0].line ?? 1}: ${problem}`);
  }
  return new NodeReader(document).value(document.contents, 0);
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
  readonly #document: Document;
  /** What aliases stand for, so that each is made once; undefined while it is being made. */
  readonly #known = new Map<unknown, Value | undefined>();

  constructor(document: Document) {
    this.#document = document;
  }

  value(node: unknown, depth: number): Value {
    burn(1);
    if (depth > DEPTH_MAX) throw new YamlFault(`deeper than ${DEPTH_MAX}`);
    if (isAlias(node)) return this.#alias(node, depth);
    if (isSeq(node)) return node.items.map((item) => this.value(item, depth + 1));
    if (isMap(node)) {
      const object = new ObjectBuilder();
      for (const { key, value } of node.items) {
        const member = this.value(value, depth + 1);
        if (isScalar(key) && key.type === "PLAIN" && key.value === "<<") merge(object, member);
        else object.set(this.#key(key, depth), member);
      }
      return object.finish();
    }
    return isScalar(node) ? scalarOf(node) : null;
  }

  /** Keys are scalars, by their texts. */
  #key(node: unknown, depth: number): string {
    const key = this.value(node, depth + 1);
    if (key === null || typeof key === "object" || isArray(key)) throw new YamlFault("invalid map key");
    return typeof key === "string" ? key : writeJson(key);
  }

  #alias(alias: Alias, depth: number): Value {
    const target = alias.resolve(this.#document);
    if (target === undefined) throw new YamlFault(`unknown anchor '${alias.source}' referenced`);
    const known = this.#known.get(target);
    if (known !== undefined) return known;
    if (this.#known.has(target)) throw new YamlFault(`anchor '${alias.source}' value contains itself`);
    this.#known.set(target, undefined);
    const value = this.value(target, depth + 1);
    this.#known.set(target, value);
    return value;
  }
}

/** Puts in the members of other objects, behind those that are there. */
function merge(object: ObjectBuilder, value: Value): void {
  for (const source of isArray(value) ? value : [value]) {
    if (!isObject(source)) throw new YamlFault("map merge requires map or sequence of maps as the value");
    for (const [key, member] of sortedEntries(source)) if (object.get(key) === undefined) object.set(key, member);
  }
}

/** Tags of what is no text, which say so of a scalar in quotes too. */
const TYPED = /^tag:yaml\.org,2002:(?:null|bool|int|float)$/;

function scalarOf({ value, type, tag }: Scalar): Value {
  const text = typeof value === "string" ? value : "";
  if (tag !== undefined && TYPED.test(tag)) {
    const typed = plainScalarOf(text);
    if (typeof typed === "string") throw new YamlFault(`cannot decode !!str \`${text}\` as a !!${tag.slice(18)}`);
    return typed;
  }
  if (tag === "tag:yaml.org,2002:str" || (type !== "PLAIN" && type !== undefined)) return text;
  return plainScalarOf(text);
}

/** What a scalar without quotes stands for. */
export function plainScalarOf(text: string): Value {
  if (/^(?:~|null|Null|NULL|)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  if (/^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/.test(text)) {
    throw new YamlFault(`${text} is no number in JSON`);
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
  return number === undefined || !Number.isFinite(doubleOfNumber(number)) ? text : number;
}

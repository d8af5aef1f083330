/** Built-ins that write and read texts in other forms: base64, hexadecimal, URL queries, JSON. YAML is in yaml.ts. */
import {
  type Base64Read,
  base64Of,
  base64UrlOf,
  hexOf,
  paddedBase64UrlOf,
  readBase64,
  readBase64Url,
  textOfUtf8,
  utf8BytesOf,
} from "../bytes.ts";
import { parseJson, writeJson } from "../json.ts";
import { quoteText } from "../quote.ts";
import { ANY, arrayOf, BOOLEAN, dictionaryOf, recordOf, STRING, setOf, unionOf } from "../types.ts";
import { isArray, isObject, isSet, ObjectBuilder, sortedEntries, type Value } from "../value.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  BuiltinError,
  builtin,
  builtinError,
  objectOperand,
  stringOperand,
} from "./builtin.ts";
import { spendText } from "./text.ts";

const STRING_OR_STRINGS = unionOf(STRING, arrayOf(STRING), setOf(STRING));
const OPTIONS = recordOf({ indent: STRING, prefix: STRING, pretty: BOOLEAN }, { key: STRING, value: ANY });

/** A built-in that makes a string of one. */
function onText(name: string, change: (text: string) => string): Builtin {
  return builtin(name, [STRING], STRING, (environment, value) => {
    const text = stringOperand(value, 1);
    spendText(environment, 4 * text.length);
    return change(text);
  });
}

export const ENCODING: readonly Builtin[] = [
  onText("base64.encode", (text) => base64Of(utf8BytesOf(text))),
  onText("base64.decode", (text) => textOfUtf8(decoded(readBase64(text)))),
  builtin("base64.is_valid", [STRING], BOOLEAN, (_, value) => readBase64(stringOperand(value, 1)).kind === "bytes"),
  onText("base64url.encode", (text) => paddedBase64UrlOf(utf8BytesOf(text))),
  onText("base64url.encode_no_pad", (text) => base64UrlOf(utf8BytesOf(text))),
  onText("base64url.decode", (text) => textOfUtf8(decoded(readBase64Url(text)))),
  onText("hex.encode", (text) => hexOf(utf8BytesOf(text))),
  onText("hex.decode", (text) => textOfUtf8(decodeHex(text))),
  onText("urlquery.encode", escapeQuery),
  onText("urlquery.decode", unescapeQuery),
  builtin("urlquery.encode_object", [dictionaryOf(STRING, STRING_OR_STRINGS)], STRING, (environment, object) =>
    encodeObject(environment, object),
  ),
  builtin("urlquery.decode_object", [STRING], dictionaryOf(STRING, arrayOf(STRING)), (environment, text) => {
    const query = stringOperand(text, 1);
    spendText(environment, 4 * query.length);
    return decodeObject(query);
  }),
  builtin("json.marshal", [ANY], STRING, (_, value) => escapeJson(writeJson(value))),
  builtin("json.marshal_with_options", [ANY, OPTIONS], STRING, (environment, value, options) =>
    marshal(environment, value, options),
  ),
  builtin("json.unmarshal", [STRING], ANY, (environment, text) => {
    const source = stringOperand(text, 1);
    environment.spend(source.length >> 3);
    const read = parseJson(source);
    if (read.kind === "fault") throw builtinError(read.message);
    return read.value;
  }),
  builtin("json.is_valid", [STRING], BOOLEAN, (environment, text) => {
    if (typeof text !== "string") return false;
    environment.spend(text.length >> 3);
    return parseJson(text).kind === "value";
  }),
];

function decoded(read: Base64Read): Uint8Array {
  if (read.kind === "fault") throw builtinError(read.message);
  return read.bytes;
}

function decodeHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1);
  for (let index = 0; index < text.length; index += 1) {
    const digit = Number.parseInt(text[index] ?? "", 16);
    if (Number.isNaN(digit)) {
      const point = text.codePointAt(index) ?? 0;
      const code = point.toString(16).toUpperCase().padStart(4, "0");
      const character = quoteText(String.fromCodePoint(point), "'");
      throw builtinError(`encoding/hex: invalid byte: U+${code} ${character}`);
    }
    const at = index >> 1;
    if (at < bytes.length) bytes[at] = ((bytes[at] ?? 0) << 4) | digit;
  }
  if (text.length % 2 === 1) throw builtinError("encoding/hex: odd length hex string");
  return bytes;
}

function escapeQuery(text: string): string {
  let escaped = "";
  for (const byte of utf8BytesOf(text)) {
    const character = String.fromCharCode(byte);
    if (/[A-Za-z0-9\-_.~]/.test(character)) escaped += character;
    else escaped += byte === 0x20 ? "+" : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}

function unescapeQuery(text: string): string {
  if (!text.includes("%")) return text.replaceAll("+", " ");
  const bytes: number[] = [];
  const source = utf8BytesOf(text);
  for (let index = 0; index < source.length; index += 1) {
    const byte = source[index] ?? 0;
    if (byte !== 0x25) {
      bytes.push(byte === 0x2b ? 0x20 : byte);
      continue;
    }
    const code = textOfUtf8(source.subarray(index, index + 3));
    if (!/^%[0-9A-Fa-f]{2}$/.test(code)) throw builtinError(`invalid URL escape ${quoteText(code)}`);
    bytes.push(Number.parseInt(code.slice(1), 16));
    index += 2;
  }
  return textOfUtf8(Uint8Array.from(bytes));
}

function encodeObject(environment: BuiltinEnvironment, object: Value): string {
  const pairs: string[] = [];
  const add = (key: string, value: Value) => {
    if (typeof value !== "string") throw typeError("values must be string, array[string], or set[string]");
    spendText(environment, 4 * (key.length + value.length));
    pairs.push(`${escapeQuery(key)}=${escapeQuery(value)}`);
  };
  for (const [key, value] of sortedEntries(objectOperand(object, 1))) {
    if (typeof key !== "string") throw typeError("keys must be string");
    if (isArray(value)) for (const item of value) add(key, item);
    else if (isSet(value)) for (const member of value.sorted()) add(key, member);
    else add(key, value);
  }
  return pairs.join("&");
}

function typeError(problem: string): BuiltinError {
  return new BuiltinError("eval_type_error", `operand 1 ${problem}`);
}

function decodeObject(query: string): Value {
  const values = new Map<string, string[]>();
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    if (pair.includes(";")) throw builtinError("invalid semicolon separator in query");
    const at = pair.indexOf("=");
    const key = unescapeQuery(at < 0 ? pair : pair.slice(0, at));
    const value = at < 0 ? "" : unescapeQuery(pair.slice(at + 1));
    const known = values.get(key);
    if (known === undefined) values.set(key, [value]);
    else known.push(value);
  }
  const object = new ObjectBuilder();
  for (const [key, list] of values) object.set(key, list);
  return object.finish();
}

/** Characters that a page could take for markup, or a script for the end of a line, are escaped, as Go does. */
function escapeJson(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function marshal(environment: BuiltinEnvironment, value: Value, options: Value): string {
  let indent: string | undefined;
  let prefix: string | undefined;
  let pretty: boolean | undefined;
  for (const [key, option] of sortedEntries(objectOperand(options, 2))) {
    const wanted = key === "pretty" ? "boolean" : "string";
    if (key !== "indent" && key !== "prefix" && key !== "pretty") {
      const name = typeof key === "string" ? JSON.stringify(key) : writeJson(key);
      throw new BuiltinError("eval_type_error", `operand 2 object contained unknown key ${name}`);
    }
    if (typeof option !== wanted) {
      throw new BuiltinError("eval_type_error", `operand 2 key ${JSON.stringify(key)} failed cast to ${wanted}`);
    }
    if (key === "indent")
      indent = option as string; // a string, as was checked
    else if (key === "prefix") prefix = option as string;
    else pretty = option as boolean;
  }
  // Either of the others asks for several lines, unless `pretty` says otherwise.
  const lines = pretty ?? (indent !== undefined || prefix !== undefined);
  if (!lines) return escapeJson(writeJson(value));
  return (prefix ?? "") + linesOf(environment, value, `\n${prefix ?? ""}`, indent ?? "\t");
}

/** JSON over several lines, each of which begins with `line`. */
function linesOf(environment: BuiltinEnvironment, value: Value, line: string, indent: string): string {
  const inner = line + indent;
  if (isObject(value)) {
    const entries = sortedEntries(value);
    if (entries.length === 0) return "{}";
    spendText(environment, entries.length * inner.length);
    const members = entries.map(([key, member]) => {
      const name = typeof key === "string" ? key : writeJson(key);
      return `${inner}${escapeJson(JSON.stringify(name))}: ${linesOf(environment, member, inner, indent)}`;
    });
    return `{${members.join(",")}${line}}`;
  }
  if (isArray(value) || isSet(value)) {
    const items = isSet(value) ? value.sorted() : value;
    if (items.length === 0) return "[]";
    spendText(environment, items.length * inner.length);
    return `[${items.map((item) => inner + linesOf(environment, item, inner, indent)).join(",")}${line}]`;
  }
  return escapeJson(writeJson(value));
}

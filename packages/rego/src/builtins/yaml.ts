/** Built-ins that read and write YAML. Reading is in ../yaml.ts. */
import { writeJson } from "../json.ts";
import { ANY, BOOLEAN, STRING } from "../types.ts";
import { isArray, isObject, isSet, sortedEntries, type Value } from "../value.ts";
import { plainScalarOf, readYaml } from "../yaml.ts";
import { type Builtin, type BuiltinEnvironment, builtin, builtinError, stringOperand } from "./builtin.ts";

export const YAML: readonly Builtin[] = [
  builtin("yaml.marshal", [ANY], STRING, (environment, value) => `${blockOf(environment, value, "")}\n`),
  builtin("yaml.unmarshal", [STRING], ANY, (_, text) => {
    const read = readYaml(stringOperand(text, 1));
    if (read.kind === "fault") throw builtinError(read.message);
    return read.value;
  }),
  builtin("yaml.is_valid", [STRING], BOOLEAN, (_, text) => typeof text === "string" && readYaml(text).kind === "value"),
];

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
    const inner = `${indent}  `;
    return size === 0 ? " []" : `\n${inner}${block(inner)}`;
  }
  if (isObject(value)) {
    const inner = `${indent}  `;
    return sortedEntries(value).length === 0 ? " {}" : `\n${inner}${block(inner)}`;
  }
  return ` ${block(`${indent}  `)}`;
}

function keyText(value: Value): string {
  return typeof value === "string" ? value : writeJson(value);
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
    PRINTABLE.test(text) &&
    !/: |:$| #| $/.test(text) &&
    !/^(?:---|\.\.\.)/.test(text) &&
    !isOther(text)
  );
}

/** Whether a text without quotes would not be read as a string, by this or an earlier version of YAML. */
function isOther(text: string): boolean {
  if (text === "<<" || /^[-+]?\.(?:inf|nan)$/i.test(text) || /^(?:y|yes|on|n|no|off)$/i.test(text)) return true;
  return typeof plainScalarOf(text) !== "string" || /^\d{4}-\d|^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.\d*)?$/.test(text);
}

/** How a definition differs from another, in lines that a person can read. */
import { isJsonArray, isJsonObject, type JsonValue, parseStrictJsonText, writeJson } from "@writ/contract";
import { diffLines } from "@writ/policy";
import { showHidden } from "./hidden-characters.ts";

/** Unchanged lines shown on each side of a change. */
const CONTEXT_LINES = 3;
const LINES_MAX = 2_000;
const LINE_CHARACTERS_MAX = 2_000;

/** Lines that begin with a space, `-` or `+`, and `@@` where some are left out. Empty when nothing differs. */
export function readableDiff(before: string, after: string): readonly string[] {
  const lines = diffLines(before, after);
  const isShown = new Uint8Array(lines.length);
  for (const [at, { kind }] of lines.entries()) {
    if (kind !== "same") isShown.fill(1, Math.max(0, at - CONTEXT_LINES), at + CONTEXT_LINES + 1);
  }
  const shown: string[] = [];
  let skipped = false;
  for (const [at, { kind, text }] of lines.entries()) {
    if (isShown[at] !== 1) {
      skipped = true;
      continue;
    }
    if (skipped && shown.length > 0) shown.push("@@");
    skipped = false;
    const line = text.length > LINE_CHARACTERS_MAX ? `${text.slice(0, LINE_CHARACTERS_MAX)}…` : text;
    shown.push(`${kind === "added" ? "+" : kind === "removed" ? "-" : " "}${line}`);
  }
  if (shown.length <= LINES_MAX) return shown;
  return [...shown.slice(0, LINES_MAX), `@@ ${shown.length - LINES_MAX} more lines`];
}

/** A definition's JSON text as lines: each member under its name, texts as they read, the rest as sorted JSON. */
export function readableDefinition(definition: string): string {
  const read = parseStrictJsonText(definition, { depthMax: 64 });
  if (read.kind === "fault" || !isJsonObject(read.value)) return showHidden(definition);
  const lines: string[] = [];
  const { value } = read;
  for (const name of Object.keys(value).sort(byRank)) {
    const member = value[name];
    if (member === undefined) continue;
    if (typeof member === "string" && !member.includes("\n")) lines.push(`${showHidden(name)}: ${showHidden(member)}`);
    else {
      const text = typeof member === "string" ? showHidden(member) : prettyJson(member);
      lines.push(`${showHidden(name)}:`, ...text.split(/\r\n?|\n/).map((line) => `  ${line}`));
    }
  }
  return lines.join("\n");
}

/** Instructions as lines; their JSON text where they are no text. */
export function readableText(json: string): string {
  const read = parseStrictJsonText(json);
  return showHidden(read.kind === "value" && typeof read.value === "string" ? read.value : json);
}

const FIRST = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];

function byRank(a: string, b: string): number {
  const rank = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

function prettyJson(value: JsonValue, indent = ""): string {
  const inner = `${indent}  `;
  if (isJsonArray(value) && value.length > 0) {
    if (value.every((element) => !isJsonArray(element) && !isJsonObject(element))) {
      return `[${value.map((element) => prettyJson(element)).join(", ")}]`;
    }
    return `[\n${value.map((element) => `${inner}${prettyJson(element, inner)}`).join(",\n")}\n${indent}]`;
  }
  if (isJsonObject(value) && Object.keys(value).length > 0) {
    const members = Object.keys(value)
      .sort()
      .map((name) => `${inner}${showHidden(JSON.stringify(name))}: ${prettyJson(value[name] ?? null, inner)}`);
    return `{\n${members.join(",\n")}\n${indent}}`;
  }
  return showHidden(writeJson(value));
}

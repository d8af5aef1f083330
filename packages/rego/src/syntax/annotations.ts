/**
 * METADATA comments: a block of comments that begins with `# METADATA`, whose other lines are YAML, right before a
 * package or a rule. Fields that OPA knows have the shape that OPA gives them; others are refused.
 */
import { type Problem, problemAt, type Source } from "../problem.ts";
import { isArray, isObject, kindOf, memberOf, objectOf, type Value } from "../value.ts";
import { readYaml } from "../yaml.ts";
import type { Annotation, AnnotationScope, Comment } from "./ast.ts";

interface Target {
  readonly at: number;
  readonly kind: "package" | "import" | "rule";
}

interface Block {
  readonly at: number;
  readonly end: number;
  readonly lines: readonly string[];
}

const SCOPES: readonly AnnotationScope[] = ["package", "subpackages", "document", "rule"];

const FIELDS: ReadonlySet<string> = new Set([
  "authors",
  "compile",
  "custom",
  "description",
  "entrypoint",
  "labels",
  "organizations",
  "related_resources",
  "schemas",
  "scope",
  "title",
]);

export function readAnnotations(
  source: Source,
  comments: readonly Comment[],
  targets: readonly Target[],
): { readonly annotations: readonly Annotation[]; readonly problems: readonly Problem[] } {
  const annotations: Annotation[] = [];
  const problems: Problem[] = [];
  const ordered = [...targets].sort((a, b) => a.at - b.at);
  let next = 0;
  for (const block of metadataBlocks(source, comments)) {
    while (next < ordered.length && (ordered[next] as Target).at < block.end) next += 1; // within by the first test
    const read = readBlock(block, ordered[next]);
    if (typeof read === "string") problems.push(problemAt(source, "rego_parse_error", block.at, read));
    else annotations.push(read);
  }
  return { annotations, problems };
}

/** Runs of comments on lines of their own, in the first column, of which the first says METADATA. */
function metadataBlocks(source: Source, comments: readonly Comment[]): Block[] {
  const blocks: Block[] = [];
  let open: { at: number; end: number; lines: string[]; line: number } | undefined;
  for (const comment of comments) {
    const lineStart = source.text.lastIndexOf("\n", comment.at - 1) + 1;
    const alone = source.text.slice(lineStart, comment.at).trim() === "";
    const follows = open !== undefined && alone && /^\r?\n[ \t]*$/.test(source.text.slice(open.end, comment.at));
    if (open !== undefined && follows && comment.text.trim() !== "METADATA") {
      open.lines.push(comment.text);
      open.end = comment.end;
      continue;
    }
    if (open !== undefined) blocks.push(open);
    open = undefined;
    if (alone && comment.text.trim() === "METADATA") open = { at: comment.at, end: comment.end, lines: [], line: 0 };
  }
  if (open !== undefined) blocks.push(open);
  return blocks;
}

function readBlock(block: Block, target: Target | undefined): Annotation | string {
  if (target === undefined) return "annotation set cannot be applied: no package or rule follows it";
  const read = readYaml(block.lines.join("\n"));
  if (read.kind === "fault") return read.message;
  if (!isObject(read.value)) return `expected METADATA block, found whitespace or ${kindOf(read.value)}`;
  const fields: [string, Value][] = [];
  for (const [name, value] of Object.entries(read.value as Record<string, Value>)) {
    // YAML makes plain objects only
    if (!FIELDS.has(name)) return `unknown annotation field ${JSON.stringify(name)}`;
    const shaped = shapeField(name, value);
    if (shaped === undefined) return `annotation field ${JSON.stringify(name)} has the wrong type`;
    fields.push([name, shaped]);
  }
  const isEntrypoint = memberOf(read.value, "entrypoint") === true;
  let scope = memberOf(read.value, "scope");
  scope ??= target.kind === "package" ? "package" : isEntrypoint ? "document" : "rule";
  const known = SCOPES.find((name) => name === scope);
  if (known === undefined) return `invalid annotation scope ${JSON.stringify(scope)}`;
  const isRuleScope = known === "rule" || known === "document";
  if (isRuleScope !== (target.kind === "rule"))
    return `annotation scope ${known} cannot be applied to ${target.kind} statement`;
  fields.push(["scope", known]);
  return { at: block.at, end: block.end, scope: known, fields: objectOf(fields), target: target.at };
}

/** A field as OPA shapes it; undefined when it cannot be. */
function shapeField(name: string, value: Value): Value | undefined {
  switch (name) {
    case "title":
    case "description":
    case "scope":
      return typeof value === "string" ? value : undefined;
    case "entrypoint":
      return typeof value === "boolean" ? value : undefined;
    case "authors":
      return isArray(value) ? shapeAll(value, shapeAuthor) : undefined;
    case "related_resources":
      return isArray(value) ? shapeAll(value, (item) => (typeof item === "string" ? { ref: item } : item)) : undefined;
    case "organizations":
    case "schemas":
      return isArray(value) ? value : undefined;
    default:
      return value;
  }
}

function shapeAll(items: readonly Value[], shape: (item: Value) => Value | undefined): Value | undefined {
  const shaped: Value[] = [];
  for (const item of items) {
    const value = shape(item);
    if (value === undefined) return undefined;
    shaped.push(value);
  }
  return shaped;
}

/** `Name <mail>`, or an object that has one of them. */
function shapeAuthor(item: Value): Value | undefined {
  if (typeof item !== "string") return isObject(item) ? item : undefined;
  const words = item.trim().split(/\s+/);
  const last = words.at(-1) ?? "";
  const email = /^<(.+)>$/.exec(last)?.[1];
  if (email === undefined) return { name: words.join(" ") };
  const name = words.slice(0, -1).join(" ");
  return name === "" ? { email } : { name, email };
}

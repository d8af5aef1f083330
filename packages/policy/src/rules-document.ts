/**
 * Reads a rules file: YAML → rules and their tests, or every problem with its place. Nothing is guessed and nothing is
 * ignored: an unknown key, a repeated key, an alias or a value of the wrong shape is a problem. It gives no meaning
 * to what it has read; `compile-rules.ts` does.
 *
 *   version: 1
 *   rules:
 *     - id: echo-is-harmless
 *       effect: allow                      # allow | deny | step_up
 *       description: Anybody in development may echo short texts.
 *       match: { agent: [assistant], labels: { env: dev }, tool: everything/echo }
 *       when:
 *         args: { /message: { max_length: 200, not: { prefix: sudo } } }
 *         time: { days: [mon-fri], between: "08:00-18:00", zone: UTC }
 *   tests:
 *     - name: the assistant may echo
 *       call: { agent: assistant, labels: { env: dev }, tool: everything/echo, arguments: { message: hi } }
 *       expect: { allow: policy_allow, rule: echo-is-harmless }
 */
import {
  ACTIONS,
  type Action,
  ARGUMENT_OPERATORS,
  compileArgumentCondition,
  compileGlob,
  compileHttpPath,
  compileToolPattern,
  type HttpPathPattern,
  type HttpResource,
  isAction,
  isJsonObject,
  isReason,
  type JsonObject,
  type JsonValue,
  nearestName,
  parseStrictJsonText,
  type Reason,
  readHttpMethod,
  readHttpTarget,
  type ToolPattern,
} from "@writ/contract";
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit, type YAMLMap } from "yaml";
import type { ArgumentAssertion, PolicyProblem } from "./policy-port.ts";
import { parseBetween, parseDays, parseInstant, parseOffset, type TimeWindow } from "./time-condition.ts";

export const RULES_SOURCE_LENGTH_MAX = 1024 * 1024;
export const RULES_MAX = 10_000;
const RULE_TESTS_MAX = 10_000;
const PROBLEMS_MAX = 100;
const LIST_MAX = 1_000;
const NODES_MAX = 500_000;

export const EFFECTS = ["allow", "deny", "step_up"] as const;
export type Effect = (typeof EFFECTS)[number];

export interface NamePattern {
  /** The name when it has no `*`. */
  readonly exact: string | undefined;
  matches(name: string): boolean;
}

/** Undefined means that the rule does not look at it. */
export interface RuleMatch {
  readonly agents: readonly NamePattern[] | undefined;
  readonly principals: readonly NamePattern[] | undefined;
  readonly labels: ReadonlyMap<string, ReadonlySet<string>> | undefined;
  readonly actions: ReadonlySet<Action> | undefined;
  readonly upstreams: readonly NamePattern[] | undefined;
  readonly tools: readonly ToolPattern[] | undefined;
  /** `upstream/URI`, where `*` stands for any run, slashes included. */
  readonly resources: readonly ToolPattern[] | undefined;
  readonly prompts: readonly ToolPattern[] | undefined;
  /** Of HTTP requests only; `*` stands for one segment of a path, `**` for the rest. */
  readonly methods: ReadonlySet<string> | undefined;
  readonly paths: readonly HttpPathPattern[] | undefined;
}

export interface Rule {
  readonly id: string;
  readonly effect: Effect;
  readonly description: string;
  readonly line: number;
  readonly match: RuleMatch;
  readonly args: readonly ArgumentAssertion[];
  readonly time: TimeWindow | undefined;
}

export interface RuleTest {
  readonly name: string;
  readonly line: number;
  readonly call: {
    readonly agent: string;
    readonly principal: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly action: Action;
    readonly upstream: string;
    readonly kind: "tool" | "resource" | "prompt" | "http" | "catalogue";
    /** The name of the tool or prompt, or the URI; "" of a catalogue or an HTTP request. */
    readonly name: string;
    readonly http: HttpResource | undefined;
    readonly arguments: JsonObject;
    /** Milliseconds since the epoch. */
    readonly timeMs: number;
  };
  readonly expect: {
    readonly kind: Effect;
    /** Undefined: any. */
    readonly reason: Reason | undefined;
    readonly rule: string | undefined;
    readonly listed: "yes" | "no" | "perhaps" | undefined;
  };
}

export type RulesDocument =
  | { readonly kind: "read"; readonly rules: readonly Rule[]; readonly tests: readonly RuleTest[] }
  | { readonly kind: "problems"; readonly problems: readonly PolicyProblem[] };

/** The instant of tests that name none: Monday 5 January 2026, 12:00 UTC. */
const TEST_TIME_MS = Date.UTC(2026, 0, 5, 12);

/** Reads a rules file. Never throws; either everything was understood or there is at least one problem. */
export function readRules(source: string): RulesDocument {
  const lines = new LineCounter();
  const problems: PolicyProblem[] = [];
  const reader: Reader = {
    problem(node, message, hint = "") {
      const at = lines.linePos(node?.range?.[0] ?? 0);
      if (problems.length < PROBLEMS_MAX) {
        problems.push({ message, line: Math.max(at.line, 1), column: Math.max(at.col, 1), hint });
      }
    },
    line: (node) => Math.max(lines.linePos(node.range?.[0] ?? 0).line, 1),
  };
  if (source.length > RULES_SOURCE_LENGTH_MAX) {
    reader.problem(undefined, `the file is longer than ${RULES_SOURCE_LENGTH_MAX} characters`);
    return { kind: "problems", problems };
  }
  let rules: readonly Rule[] = [];
  let tests: readonly RuleTest[] = [];
  try {
    const document = parseDocument(source, {
      lineCounter: lines,
      strict: true,
      uniqueKeys: true,
      stringKeys: true,
      schema: "core",
      version: "1.2",
      prettyErrors: false,
    });
    for (const issue of [...document.errors, ...document.warnings]) {
      const at = lines.linePos(issue.pos[0]);
      problems.push({ message: issue.message, line: Math.max(at.line, 1), column: Math.max(at.col, 1), hint: "" });
      if (problems.length >= PROBLEMS_MAX) break;
    }
    if (problems.length === 0) refuseAliases(reader, document.contents);
    if (problems.length === 0) ({ rules, tests } = readDocument(reader, document.contents));
  } catch (error) {
    // A fault: nesting deeper than the YAML reader's stack is the author's text, not a failure of ours.
    reader.problem(undefined, `the file cannot be read: ${error instanceof Error ? error.message : "unknown"}`);
  }
  return problems.length > 0 ? { kind: "problems", problems } : { kind: "read", rules, tests };
}

interface Reader {
  problem(node: Node | undefined | null, message: string, hint?: string): void;
  line(node: Node): number;
}

/** An alias makes a small file large; an anchor without one is a mistake. Neither is needed. */
function refuseAliases(reader: Reader, contents: Node | null): void {
  let nodes = 0;
  visit(contents, (_key, node) => {
    nodes += 1;
    if (nodes > NODES_MAX) {
      reader.problem(undefined, `the file has more than ${NODES_MAX} values`);
      return visit.BREAK;
    }
    if (isAlias(node)) reader.problem(node, "aliases are not supported", "write the value out");
    if ((isScalar(node) || isMap(node) || isSeq(node)) && (node.anchor !== undefined || node.tag !== undefined)) {
      reader.problem(node, "anchors and tags are not supported", "write the value out");
    }
    return undefined;
  });
}

// --- shapes -----------------------------------------------------------------------------------------------------

type Members = ReadonlyMap<string, { readonly key: Node; readonly value: Node | null }>;

/** The members of a mapping, all of which are `known`; undefined (and a problem) when it is none. */
function readMembers(
  reader: Reader,
  node: Node | null | undefined,
  parent: Node | undefined,
  what: string,
  known: readonly string[] | undefined,
): Members | undefined {
  if (!isMap(node)) {
    reader.problem(node ?? parent, `${what} is not a mapping of keys to values`);
    return undefined;
  }
  const members = new Map<string, { key: Node; value: Node | null }>();
  for (const pair of (node as YAMLMap<Node, Node | null>).items) {
    const name = isScalar(pair.key) && typeof pair.key.value === "string" ? pair.key.value : undefined;
    if (name === undefined) {
      reader.problem(pair.key, "a key is not a text");
    } else if (known !== undefined && !known.includes(name)) {
      reader.problem(pair.key, `unknown key "${name}" in ${what}`, suggestWord(name, known));
    } else {
      members.set(name, { key: pair.key, value: pair.value });
    }
  }
  return members;
}

function readText(reader: Reader, node: Node | null | undefined, parent: Node, what: string): string | undefined {
  if (isScalar(node) && typeof node.value === "string" && node.value !== "") return node.value;
  if (node === undefined) reader.problem(parent, `${what} is missing`);
  else reader.problem(node ?? parent, `${what} is not a text`, "put it in quotation marks");
  return undefined;
}

/** One text or a list of texts, with the node of each for problems. */
function readTexts(
  reader: Reader,
  member: { readonly key: Node; readonly value: Node | null } | undefined,
  what: string,
): readonly { readonly text: string; readonly node: Node }[] | undefined {
  if (member === undefined) return undefined;
  const nodes: readonly (Node | null)[] = isSeq(member.value)
    ? (member.value.items as (Node | null)[]) // parseDocument makes items nodes
    : [member.value];
  if (nodes.length === 0) reader.problem(member.value, `${what} is an empty list, so the rule would match nothing`);
  if (nodes.length > LIST_MAX) reader.problem(member.value, `${what} has more than ${LIST_MAX} elements`);
  const texts: { text: string; node: Node }[] = [];
  for (const node of nodes.slice(0, LIST_MAX)) {
    const text = readText(reader, node, member.key, what);
    if (text !== undefined && node !== null) texts.push({ text, node });
  }
  return texts;
}

function readSequence(reader: Reader, node: Node | null, parent: Node, what: string, max: number): readonly Node[] {
  if (!isSeq(node)) {
    reader.problem(node ?? parent, `${what} is not a list`);
    return [];
  }
  if (node.items.length > max) {
    reader.problem(node, `${what} has more than ${max} elements`);
    return [];
  }
  const nodes: Node[] = [];
  for (const item of node.items as (Node | null)[]) {
    if (item === null) reader.problem(node, `${what} has an empty element`);
    else nodes.push(item);
  }
  return nodes;
}

/** A value as JSON, numbers with the lexeme that the author wrote; undefined (and a problem) when it has none. */
function readJson(reader: Reader, node: Node | null | undefined, parent: Node): JsonValue | undefined {
  if (isScalar(node)) {
    const value = node.value;
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    const number = parseStrictJsonText(node.source ?? "");
    if (typeof value === "number" && number.kind === "value") return number.value;
    reader.problem(node, "a number is not written as in JSON", "write digits with a point, such as 12.50");
    return undefined;
  }
  if (isSeq(node)) {
    const elements: JsonValue[] = [];
    for (const item of node.items as (Node | null)[]) {
      const element = readJson(reader, item, node);
      if (element === undefined) return undefined;
      elements.push(element);
    }
    return elements;
  }
  const members = readMembers(reader, node, parent, "the value", undefined);
  if (members === undefined) return undefined;
  // Null-prototype, as every JsonObject is.
  const object = Object.create(null) as Record<string, JsonValue>;
  for (const [name, member] of members) {
    const value = readJson(reader, member.value, member.key);
    if (value === undefined) return undefined;
    object[name] = value;
  }
  return object;
}

// --- the document -----------------------------------------------------------------------------------------------

function readDocument(reader: Reader, contents: Node | null): { rules: readonly Rule[]; tests: readonly RuleTest[] } {
  const members = readMembers(reader, contents, undefined, "the file", ["version", "rules", "tests"]);
  if (members === undefined) return { rules: [], tests: [] };
  const version = members.get("version");
  if (!isScalar(version?.value) || version.value.value !== 1) {
    reader.problem(version?.value ?? contents, "the file has no version that is known here", 'begin with "version: 1"');
  }
  const list = members.get("rules");
  if (list === undefined) reader.problem(contents, "the file has no rules", 'write "rules: []" to allow nothing');
  const rules: Rule[] = [];
  const ids = new Set<string>();
  for (const node of list === undefined ? [] : readSequence(reader, list.value, list.key, "rules", RULES_MAX)) {
    const rule = readRule(reader, node);
    if (rule === undefined) continue;
    if (ids.has(rule.id)) reader.problem(node, `the id "${rule.id}" is used twice`);
    ids.add(rule.id);
    rules.push(rule);
  }
  const tests: RuleTest[] = [];
  const testList = members.get("tests");
  for (const node of testList === undefined
    ? []
    : readSequence(reader, testList.value, testList.key, "tests", RULE_TESTS_MAX)) {
    const test = readTest(reader, node, ids);
    if (test !== undefined) tests.push(test);
  }
  return { rules, tests };
}

const RULE_KEYS = ["id", "effect", "description", "match", "when"];
const MATCH_KEYS = [
  "agent",
  "principal",
  "labels",
  "action",
  "upstream",
  "tool",
  "resource",
  "prompt",
  "method",
  "path",
];
/** The keys that name something of an upstream; a call has one of them at most. */
const NAMED_KEYS = ["tool", "resource", "prompt"] as const;
const TIME_KEYS = ["days", "between", "zone", "from", "until"];

function readRule(reader: Reader, node: Node): Rule | undefined {
  const members = readMembers(reader, node, undefined, "a rule", RULE_KEYS);
  if (members === undefined) return undefined;
  const idMember = members.get("id");
  const id = readText(reader, idMember?.value, idMember?.key ?? node, "the id of a rule");
  if (id !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id)) {
    reader.problem(idMember?.value, "the id of a rule has characters other than letters, digits, . _ and -");
  }
  const effectMember = members.get("effect");
  const word = readText(reader, effectMember?.value, effectMember?.key ?? node, "the effect of a rule");
  const effect = EFFECTS.find((known) => known === word);
  if (word !== undefined && effect === undefined) {
    reader.problem(effectMember?.value, `unknown effect "${word}"`, suggestWord(word, EFFECTS));
  }
  const descriptionMember = members.get("description");
  const description =
    descriptionMember === undefined
      ? ""
      : readText(reader, descriptionMember.value, descriptionMember.key, "the description of a rule");
  const matchMember = members.get("match");
  if (matchMember === undefined) {
    reader.problem(node, "the rule does not say what it matches", 'write "match: { tool: upstream/tool }"');
  }
  const match = matchMember && readMatch(reader, matchMember.key, matchMember.value, effect);
  const when = members.get("when");
  const conditions = when === undefined ? { args: [], time: undefined } : readWhen(reader, when.key, when.value);
  if (id === undefined || effect === undefined || description === undefined) return undefined;
  if (match === undefined || conditions === undefined) return undefined;
  return { id, effect, description, line: reader.line(node), match, ...conditions };
}

function readMatch(reader: Reader, key: Node, node: Node | null, effect: Effect | undefined): RuleMatch | undefined {
  const members = readMembers(reader, node, key, "match", MATCH_KEYS);
  if (members === undefined) return undefined;
  const actions = readTexts(reader, members.get("action"), "action");
  const known = new Set<Action>();
  for (const { text, node: at } of actions ?? []) {
    if (text === "*") for (const action of ACTIONS) known.add(action);
    else if (isAction(text)) known.add(text);
    else reader.problem(at, `unknown action "${text}"`, suggestWord(text, ACTIONS));
  }
  const tools = readPatterns(reader, members.get("tool"), "tool");
  const resources = readPatterns(reader, members.get("resource"), "resource");
  const prompts = readPatterns(reader, members.get("prompt"), "prompt");
  const named = NAMED_KEYS.filter((name) => members.has(name));
  if (named.length > 1) {
    reader.problem(node ?? key, `no call has a ${named.join(" and a ")}, so the rule would match nothing`, SEPARATE);
  }
  if (
    actions === undefined &&
    named.length === 0 &&
    !HTTP_KEYS.some((name) => members.has(name)) &&
    effect !== "deny"
  ) {
    reader.problem(
      node ?? key,
      "the rule names neither an action nor a tool, so it would reach actions that are yet to come",
      "add action: tool.call, or a list, or tool: upstream/tool",
    );
  }
  const methods = readMethods(reader, members.get("method"));
  const paths = readPaths(reader, members.get("path"));
  const ofHttp = HTTP_KEYS.filter((name) => members.has(name));
  if (ofHttp.length > 0 && (named.length > 0 || (actions !== undefined && !known.has("http.request")))) {
    reader.problem(
      node ?? key,
      `only an http.request has a ${ofHttp.join(" and a ")}, so the rule would match nothing`,
      "write action: http.request, and no tool, resource or prompt",
    );
  }
  const labels = members.get("labels");
  return {
    agents: readNames(reader, members.get("agent"), "agent"),
    principals: readNames(reader, members.get("principal"), "principal"),
    upstreams: readNames(reader, members.get("upstream"), "upstream"),
    labels: labels && readLabelMatch(reader, labels.key, labels.value),
    actions: actions && known,
    tools,
    resources,
    prompts,
    methods,
    paths,
  };
}

/** What only HTTP requests have; a rule that names one is about no other action. */
const HTTP_KEYS = ["method", "path"] as const;

function readMethods(
  reader: Reader,
  member: { readonly key: Node; readonly value: Node | null } | undefined,
): ReadonlySet<string> | undefined {
  const texts = readTexts(reader, member, "method");
  for (const { text, node } of texts ?? []) {
    if (readHttpMethod(text).kind === "method") continue;
    const hint = text.includes("*")
      ? "leave method out to mean every method, or list them: [GET, HEAD]"
      : "write it in capitals";
    reader.problem(node, `"${text}" is no method`, hint);
  }
  return texts && new Set(texts.map(({ text }) => text));
}

function readPaths(
  reader: Reader,
  member: { readonly key: Node; readonly value: Node | null } | undefined,
): readonly HttpPathPattern[] | undefined {
  const texts = readTexts(reader, member, "path");
  if (texts === undefined) return undefined;
  const patterns: HttpPathPattern[] = [];
  for (const { text, node } of texts) {
    const pattern = compileHttpPath(text);
    if (pattern === undefined) {
      reader.problem(node, `"${text}" is no path`, "write /a/*/b or /a/**: * is one segment, ** at the end the rest");
    } else patterns.push(pattern);
  }
  return patterns;
}

const SEPARATE = "write a rule for each";
const NAMED_HINTS = { tool: "upstream/tool", resource: "upstream/URI", prompt: "upstream/prompt" } as const;

function readPatterns(
  reader: Reader,
  member: { readonly key: Node; readonly value: Node | null } | undefined,
  what: (typeof NAMED_KEYS)[number],
): readonly ToolPattern[] | undefined {
  const texts = readTexts(reader, member, what);
  if (texts === undefined) return undefined;
  const patterns: ToolPattern[] = [];
  for (const { text, node } of texts) {
    const pattern = compileToolPattern(text);
    if (pattern === undefined) {
      reader.problem(node, `"${text}" names no ${what}`, `write ${NAMED_HINTS[what]}, * stands for any run`);
    } else patterns.push(pattern);
  }
  return patterns;
}

function readNames(
  reader: Reader,
  member: { readonly key: Node; readonly value: Node | null } | undefined,
  what: string,
): readonly NamePattern[] | undefined {
  return readTexts(reader, member, what)?.map(({ text, node }) => {
    if (text.length > 512 || text.split("*").length > 9) reader.problem(node, `the name of ${what} has too many *`);
    return { exact: text.includes("*") ? undefined : text, matches: compileGlob(text) };
  });
}

function readLabelMatch(reader: Reader, key: Node, node: Node | null): ReadonlyMap<string, ReadonlySet<string>> {
  const labels = new Map<string, ReadonlySet<string>>();
  for (const [name, member] of readMembers(reader, node, key, "labels", undefined) ?? []) {
    labels.set(name, new Set(readTexts(reader, member, `the label ${name}`)?.map(({ text }) => text)));
  }
  if (labels.size === 0) reader.problem(node ?? key, "labels names no label");
  return labels;
}

function readWhen(
  reader: Reader,
  key: Node,
  node: Node | null,
): { readonly args: readonly ArgumentAssertion[]; readonly time: TimeWindow | undefined } | undefined {
  const members = readMembers(reader, node, key, "when", ["args", "time"]);
  if (members === undefined) return undefined;
  const args = members.get("args");
  const time = members.get("time");
  if (args === undefined && time === undefined) reader.problem(node ?? key, "when names no condition");
  return {
    args: args === undefined ? [] : readArguments(reader, args.key, args.value),
    time: time && readTime(reader, time.key, time.value),
  };
}

function readArguments(reader: Reader, key: Node, node: Node | null): readonly ArgumentAssertion[] {
  const compiled: ArgumentAssertion[] = [];
  const pointers = readMembers(reader, node, key, "args", undefined);
  if (pointers?.size === 0) reader.problem(node ?? key, "args names no argument");
  for (const [pointer, member] of pointers ?? []) {
    const value = readJson(reader, member.value, member.key);
    if (value === undefined) continue;
    const at = member.value ?? member.key;
    const operators = isJsonObject(value) ? value : undefined;
    // Null-prototype, as every JsonObject is.
    const asserted = Object.assign(Object.create(null) as Record<string, JsonValue>, operators);
    const { not } = asserted;
    delete asserted["not"];
    const parts: (readonly [JsonValue, boolean])[] = [];
    if (operators === undefined || not === undefined || Object.keys(asserted).length > 0) {
      parts.push([operators === undefined ? value : asserted, false]);
    }
    if (not !== undefined) parts.push([not, true]);
    for (const [part, negated] of parts) {
      const result = compileArgumentCondition(pointer, part);
      if (result.kind === "compiled") compiled.push({ condition: result.condition, negated });
      else
        reader.problem(at, `${result.operator === "" ? pointer : result.operator}: ${result.detail}`, hintFor(result));
    }
  }
  return compiled;
}

/** `did you mean "x"?` for the nearest of `words`, else the list of them. */
function suggestWord(typed: string, words: readonly string[]): string {
  const near = nearestName(typed, words);
  return near === undefined ? `known are ${words.join(", ")}` : `did you mean "${near}"?`;
}

function hintFor(result: { readonly operator: string; readonly detail: string }): string {
  if (result.detail !== "unknown operator") return "";
  return suggestWord(result.operator, [...ARGUMENT_OPERATORS, "not"]);
}

function readTime(reader: Reader, key: Node, node: Node | null): TimeWindow | undefined {
  const members = readMembers(reader, node, key, "time", TIME_KEYS);
  if (members === undefined) return undefined;
  const read = <T>(name: string, parse: (text: string) => T | undefined, hint: string): T | undefined => {
    const member = members.get(name);
    if (member === undefined) return undefined;
    const text = readText(reader, member.value, member.key, name);
    const value = text === undefined ? undefined : parse(text);
    if (text !== undefined && value === undefined) reader.problem(member.value, `${name} cannot be read`, hint);
    return value;
  };
  const dayTexts = readTexts(reader, members.get("days"), "days");
  const days = new Set<number>();
  for (const { text, node: at } of dayTexts ?? []) {
    const parsed = parseDays(text);
    if (parsed === undefined) reader.problem(at, `unknown days "${text}"`, "write mon, or mon-fri");
    for (const day of parsed ?? []) days.add(day);
  }
  const window: TimeWindow = {
    days: dayTexts && days,
    between: read("between", parseBetween, 'write "08:00-18:00"; for a night write two rules'),
    offsetMinutes:
      read("zone", parseOffset, "write UTC or an offset such as +01:00; named zones are not supported") ?? 0,
    fromMs: read("from", parseInstant, "write 2026-01-31T08:00:00Z"),
    untilMs: read("until", parseInstant, "write 2026-01-31T08:00:00Z"),
  };
  if (members.has("between") && !members.has("zone")) {
    reader.problem(node ?? key, "between has no zone", "add zone: UTC or an offset such as +01:00");
  }
  if (!["days", "between", "from", "until"].some((name) => members.has(name))) {
    reader.problem(node ?? key, "time names no condition");
  }
  return window;
}

// --- tests ------------------------------------------------------------------------------------------------------

const CALL_KEYS = [...MATCH_KEYS, "arguments", "time"];
const NAMED_ACTIONS = { tool: "tool.call", resource: "resource.read", prompt: "prompt.get" } as const;

function readTest(reader: Reader, node: Node, ruleIds: ReadonlySet<string>): RuleTest | undefined {
  const members = readMembers(reader, node, undefined, "a test", ["name", "call", "expect"]);
  if (members === undefined) return undefined;
  const name = readText(reader, members.get("name")?.value, members.get("name")?.key ?? node, "the name of a test");
  const call = readCall(reader, node, members.get("call")?.value);
  const expect = readExpectation(reader, node, members.get("expect")?.value, ruleIds);
  if (name === undefined || call === undefined || expect === undefined) return undefined;
  return { name, line: reader.line(node), call, expect };
}

function readCall(reader: Reader, parent: Node, node: Node | null | undefined): RuleTest["call"] | undefined {
  const members = readMembers(reader, node, parent, "call", CALL_KEYS);
  if (members === undefined) return undefined;
  const text = (name: string): string => {
    const member = members.get(name);
    return member === undefined ? "" : (readText(reader, member.value, member.key, name) ?? "");
  };
  const agent = text("agent");
  if (!members.has("agent")) reader.problem(node, "the call has no agent");
  const labels: Record<string, string> = {};
  const labelsMember = members.get("labels");
  if (labelsMember !== undefined) {
    for (const [name, member] of readMembers(reader, labelsMember.value, labelsMember.key, "labels", undefined) ?? []) {
      labels[name] = readText(reader, member.value, member.key, `the label ${name}`) ?? "";
    }
  }
  const named = NAMED_KEYS.filter((name) => members.has(name));
  const [kind] = named;
  if (named.length > 1) reader.problem(node, `no call has a ${named.join(" and a ")}`, SEPARATE);
  const isHttp = HTTP_KEYS.some((key) => members.has(key));
  const http = isHttp ? readHttpCall(reader, node ?? parent, text("method"), text("path")) : undefined;
  const action = members.has("action") ? text("action") : isHttp ? "http.request" : NAMED_ACTIONS[kind ?? "tool"];
  if (isHttp !== (action === "http.request") || (isHttp && kind !== undefined)) {
    reader.problem(node, "an http.request, and nothing else, has a method, a path and an upstream");
  }
  if (!isAction(action))
    reader.problem(members.get("action")?.value, `unknown action "${action}"`, suggestWord(action, ACTIONS));
  const name = kind === undefined ? "" : text(kind);
  const slash = name.indexOf("/");
  if (kind !== undefined && name !== "" && (slash < 1 || slash === name.length - 1)) {
    reader.problem(members.get(kind)?.value, `"${name}" names no ${kind}`, `write ${NAMED_HINTS[kind]}`);
  }
  const args = members.get("arguments");
  const argumentsJson = args === undefined ? Object.create(null) : readJson(reader, args.value, args.key);
  if (argumentsJson === undefined || !isJsonObject(argumentsJson)) {
    reader.problem(args?.value, "arguments is not a mapping of keys to values");
    return undefined;
  }
  const time = members.has("time") ? parseInstant(text("time")) : TEST_TIME_MS;
  if (time === undefined)
    reader.problem(members.get("time")?.value, "time cannot be read", "write 2026-01-31T08:00:00Z");
  if (!isAction(action) || time === undefined) return undefined;
  return {
    agent,
    principal: text("principal"),
    labels,
    action,
    upstream: name === "" ? text("upstream") : name.slice(0, slash),
    kind: isHttp ? "http" : name === "" ? "catalogue" : (kind ?? "catalogue"),
    name: name.slice(slash + 1),
    http,
    arguments: argumentsJson,
    timeMs: time,
  };
}

/** The request of a test, as a request of an agent is read; undefined (and a problem) when it would be refused. */
function readHttpCall(reader: Reader, at: Node, method: string, path: string): HttpResource | undefined {
  const readMethod = readHttpMethod(method);
  const target = readHttpTarget(path);
  if (readMethod.kind === "fault") reader.problem(at, `the call's method: ${readMethod.detail}`);
  if (target.kind === "fault") reader.problem(at, `the call's path: ${target.detail}`);
  return readMethod.kind === "fault" || target.kind === "fault" ? undefined : { method, ...target.target };
}

function readExpectation(
  reader: Reader,
  parent: Node,
  node: Node | null | undefined,
  ruleIds: ReadonlySet<string>,
): RuleTest["expect"] | undefined {
  if (isScalar(node)) {
    const kind = EFFECTS.find((effect) => effect === node.value);
    if (kind !== undefined) return { kind, reason: undefined, rule: undefined, listed: undefined };
    reader.problem(
      node,
      "expect is neither allow, deny nor step_up",
      "or a mapping such as { deny: policy_denied, rule: id }",
    );
    return undefined;
  }
  const members = readMembers(reader, node, parent, "expect", [...EFFECTS, "rule", "listed"]);
  if (members === undefined) return undefined;
  const kinds = EFFECTS.filter((effect) => members.has(effect));
  const kind = kinds[0];
  if (kind === undefined || kinds.length > 1) {
    reader.problem(node, "expect names not exactly one of allow, deny and step_up");
    return undefined;
  }
  const reason = readText(reader, members.get(kind)?.value, node ?? parent, "the reason");
  if (reason !== undefined && !isReason(reason)) reader.problem(members.get(kind)?.value, `unknown reason "${reason}"`);
  const ruleMember = members.get("rule");
  const rule = ruleMember && readText(reader, ruleMember.value, ruleMember.key, "rule");
  if (rule !== undefined && !ruleIds.has(rule)) {
    reader.problem(ruleMember?.value, `there is no rule "${rule}"`, suggestWord(rule, [...ruleIds].slice(0, LIST_MAX)));
  }
  const listedMember = members.get("listed");
  const listedText = listedMember && readText(reader, listedMember.value, listedMember.key, "listed");
  const listed = (["yes", "no", "perhaps"] as const).find((word) => word === listedText);
  if (listedMember !== undefined && listed === undefined) {
    reader.problem(
      listedMember.value ?? listedMember.key,
      "listed is neither yes, no nor perhaps",
      "put it in quotation marks",
    );
  }
  return { kind, reason: isReason(reason) ? reason : undefined, rule, listed };
}

/**
 * What evaluations with marks tell: which rules ran, how far each came, and with which values; and which lines of the
 * modules were reached, over many evaluations. Code with marks is made apart from the code that decides, from the same
 * plans, so that the latter pays nothing for it.
 */
import type { PlannedGroup, PlannedRule } from "../compile/emit-group.ts";
import type { PlanLiteral } from "../compile/plan.ts";
import { pathText } from "../compile/rule-tree.ts";
import { lineOf, problemAt, type Source } from "../problem.ts";
import type { Value } from "../value.ts";
import type { Frame, Tracer } from "./evaluation.ts";

/** An expression of a module that code reports. */
export interface Mark {
  readonly source: Source;
  readonly at: number;
  readonly end: number;
  readonly binds: PlanLiteral["binds"];
}

/** One run of one rule. */
export interface RuleRun {
  /** From `data` on. */
  readonly path: string;
  readonly file: string;
  readonly line: number;
  /** How many rules this one was run for. */
  readonly depth: number;
  readonly outcome: "held" | "failed";
  /** The values or members that it gave, in order. */
  readonly values: readonly Value[];
  /** In the order in which they were reached. */
  readonly expressions: readonly ExpressionRun[];
}

export interface ExpressionRun {
  readonly line: number;
  readonly column: number;
  readonly text: string;
  /** How often it was reached, and how often it held. */
  readonly reached: number;
  readonly held: number;
  /** What its variables were when it last held. */
  readonly values: Readonly<Record<string, Value>>;
}

/** Runs of rules that an explanation keeps; later ones are counted only. */
const RUNS_MAX = 1_000;
/** Values of one run that are kept. */
const VALUES_MAX = 100;
/** Characters of an expression that are shown. */
const TEXT_LENGTH_MAX = 200;

interface OpenRun {
  readonly rule: PlannedRule;
  readonly depth: number;
  readonly values: Value[];
  held: boolean;
  readonly expressions: Map<number, { reached: number; held: number; values: Record<string, Value> }>;
}

/** Collects what ran. */
export class RunRecorder implements Tracer {
  readonly #rules: readonly PlannedRule[];
  readonly #marks: readonly Mark[];
  readonly #runs: OpenRun[] = [];
  readonly #open: (OpenRun | undefined)[] = [];
  #left = 0;

  constructor(planned: readonly PlannedGroup[], marks: readonly Mark[]) {
    this.#rules = rulesById(planned);
    this.#marks = marks;
  }

  enterRule(rule: number): void {
    const planned = this.#rules[rule];
    if (planned === undefined || this.#runs.length >= RUNS_MAX) {
      this.#left += 1;
      this.#open.push(undefined);
      return;
    }
    const run = { rule: planned, depth: this.#open.length, values: [], held: false, expressions: new Map() };
    this.#runs.push(run);
    this.#open.push(run);
  }

  produce(_rule: number, value: Value | undefined): void {
    const run = this.#open.at(-1);
    if (run === undefined || value === undefined) return;
    run.held = true;
    if (run.values.length < VALUES_MAX) run.values.push(value);
  }

  leaveRule(): void {
    this.#open.pop();
  }

  enter(mark: number): void {
    const run = this.#open.at(-1);
    if (run === undefined) return;
    const known = run.expressions.get(mark);
    if (known === undefined) run.expressions.set(mark, { reached: 1, held: 0, values: {} });
    else known.reached += 1;
  }

  hold(mark: number, frame: Frame): void {
    const known = this.#open.at(-1)?.expressions.get(mark);
    if (known === undefined) return;
    known.held += 1;
    for (const { name, slot } of this.#marks[mark]?.binds ?? []) {
      const value = frame[slot] as Value | undefined; // bound when the expression holds, unless inside a body of its own
      if (value !== undefined) known.values[name] = value;
    }
  }

  /** The runs in the order in which they began, and how many more there were. */
  finish(): { readonly runs: readonly RuleRun[]; readonly leftOut: number } {
    const runs = this.#runs.map((run): RuleRun => {
      const { source, at } = run.rule.site;
      return {
        path: pathText(run.rule.path),
        file: source.file,
        line: lineOf(source, at),
        depth: run.depth,
        outcome: run.held ? "held" : "failed",
        values: run.values,
        expressions: [...run.expressions].flatMap(([mark, seen]) => this.#expression(mark, seen) ?? []),
      };
    });
    return { runs, leftOut: this.#left };
  }

  #expression(
    mark: number,
    seen: { reached: number; held: number; values: Record<string, Value> },
  ): ExpressionRun | undefined {
    const place = this.#marks[mark];
    if (place === undefined) return undefined;
    const { line, column } = problemAt(place.source, "rego_parse_error", place.at, "");
    return { line, column, text: textOf(place), ...seen };
  }
}

function textOf({ source, at, end }: Mark): string {
  const text = source.text.slice(at, end).replace(/\s+/g, " ");
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
}

function rulesById(planned: readonly PlannedGroup[]): PlannedRule[] {
  const rules: PlannedRule[] = [];
  for (const group of planned) for (const rule of [...group.rules, ...group.defaults]) rules[rule.id] = rule;
  return rules;
}

export interface FileCoverage {
  readonly file: string;
  /** Lines from 1, in order. A line is covered when something on it held, or a rule that begins there gave a value. */
  readonly covered: readonly number[];
  readonly notCovered: readonly number[];
}

/** Collects which lines were reached; give the same to many evaluations of one program. */
export class Coverage implements Tracer {
  readonly #rules = new Set<number>();
  readonly #marks = new Set<number>();
  #subject: { readonly planned: readonly PlannedGroup[]; readonly marks: readonly Mark[] } | undefined;

  /** Called by the program that evaluates. */
  attach(planned: readonly PlannedGroup[], marks: readonly Mark[]): void {
    if (this.#subject !== undefined && this.#subject.planned !== planned) {
      throw new TypeError("a coverage belongs to one program");
    }
    this.#subject = { planned, marks };
  }

  enterRule(): void {}

  produce(rule: number, value: Value | undefined): void {
    if (value !== undefined) this.#rules.add(rule);
  }

  leaveRule(): void {}

  enter(): void {}

  hold(mark: number): void {
    this.#marks.add(mark);
  }

  /** Coverage by file, in the order of the modules' rules. */
  report(): readonly FileCoverage[] {
    const files = new Map<string, { covered: Set<number>; all: Set<number> }>();
    const note = (source: Source, at: number, isCovered: boolean) => {
      const entry = files.get(source.file) ?? { covered: new Set(), all: new Set() };
      files.set(source.file, entry);
      const line = lineOf(source, at);
      entry.all.add(line);
      if (isCovered) entry.covered.add(line);
    };
    for (const rule of rulesById(this.#subject?.planned ?? []))
      note(rule.site.source, rule.site.at, this.#rules.has(rule.id));
    for (const [id, mark] of (this.#subject?.marks ?? []).entries()) note(mark.source, mark.at, this.#marks.has(id));
    return [...files].map(([file, { covered, all }]) => {
      const lines = [...all].sort((a, b) => a - b);
      return {
        file,
        covered: lines.filter((line) => covered.has(line)),
        notCovered: lines.filter((line) => !covered.has(line)),
      };
    });
  }
}

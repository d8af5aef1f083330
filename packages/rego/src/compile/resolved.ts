/**
 * The tree after names are resolved: every variable is a `Local` of its rule, every other name a path from `data` or
 * `input`, a built-in or a function. Nothing is ordered yet; plan.ts does that.
 */
import type { Source, Span } from "../problem.ts";
import type { Rule } from "../syntax/ast.ts";
import type { Value } from "../value.ts";

/** A variable of one rule or query, with its place in the frame. */
export interface Local {
  readonly slot: number;
  /** As written; `_` when nobody wrote it. */
  readonly name: string;
}

export type ResolvedTerm =
  | ({ readonly kind: "constant"; readonly value: Value } & Span)
  | ({ readonly kind: "local"; readonly local: Local } & Span)
  | ({ readonly kind: "root"; readonly root: "data" | "input" } & Span)
  | ResolvedRef
  | ResolvedCall
  | ({ readonly kind: "array" | "set"; readonly items: readonly ResolvedTerm[] } & Span)
  | ({ readonly kind: "object"; readonly entries: readonly (readonly [ResolvedTerm, ResolvedTerm])[] } & Span)
  | ResolvedComprehension
  | ({ readonly kind: "template"; readonly parts: readonly (string | TemplateExpression)[] } & Span);

export interface ResolvedRef extends Span {
  readonly kind: "ref";
  readonly head: ResolvedTerm;
  readonly path: readonly ResolvedTerm[];
}

/** What a call or a `with` names. */
export type Callee =
  | { readonly kind: "builtin"; readonly name: string }
  | { readonly kind: "function"; readonly path: readonly Value[] };

export interface ResolvedCall extends Span {
  readonly kind: "call";
  readonly callee: Callee;
  readonly args: readonly ResolvedTerm[];
}

export interface ResolvedComprehension extends Span {
  readonly kind: "comprehension";
  readonly of: "array" | "set" | "object";
  readonly key: ResolvedTerm | undefined;
  readonly value: ResolvedTerm;
  readonly body: ResolvedBody;
}

/** An expression of a template string, as a body of its own that puts its value into `result`. */
export interface TemplateExpression {
  readonly body: ResolvedBody;
  readonly result: Local;
}

export type ResolvedBody = readonly ResolvedLiteral[];

export interface ResolvedLiteral extends Span {
  readonly negated: boolean;
  readonly expression: ResolvedExpression;
  readonly with: readonly ResolvedWith[];
  /** It binds nothing but what it was made for: all other variables must be bound by others. */
  readonly isClosed?: true;
}

export type ResolvedExpression =
  | { readonly kind: "term"; readonly term: ResolvedTerm }
  | { readonly kind: "unify"; readonly left: ResolvedTerm; readonly right: ResolvedTerm }
  | {
      readonly kind: "someIn";
      readonly key: ResolvedTerm | undefined;
      readonly value: ResolvedTerm;
      readonly domain: ResolvedTerm;
    }
  | { readonly kind: "not"; readonly body: ResolvedBody }
  | {
      readonly kind: "every";
      readonly key: Local | undefined;
      readonly value: Local;
      readonly domain: ResolvedTerm;
      readonly body: ResolvedBody;
    };

export interface ResolvedWith extends Span {
  readonly target:
    | { readonly kind: "input" | "data"; readonly path: readonly Value[] }
    | { readonly kind: "callee"; readonly callee: Callee };
  /** A function in place of a function, or a value. */
  readonly replacement:
    | { readonly kind: "callee"; readonly callee: Callee }
    | { readonly kind: "value"; readonly term: ResolvedTerm };
}

/** One rule of a module. Its frame begins with the arguments; then come the places of the result and of a given key. */
export interface ResolvedRule {
  readonly rule: Rule;
  readonly source: Source;
  /** From `data` on, as far as it is constant. */
  readonly path: readonly Value[];
  /** What of the head's reference follows the constant part: `[x].c` of `a.b[x].c`. */
  readonly tail: readonly ResolvedTerm[];
  readonly isMultiValue: boolean;
  /** Of a function. */
  readonly args: readonly ResolvedTerm[] | undefined;
  /** The rule itself, then its else branches in order. */
  readonly branches: readonly ResolvedBranch[];
  /** Slots that a frame needs. */
  readonly frameSize: number;
}

export interface ResolvedBranch extends Span {
  readonly body: ResolvedBody;
  /** The value, or the member of a multi-value rule. */
  readonly value: ResolvedTerm;
}

/**
 * The syntax tree of a module, as it was written: nothing is resolved or rewritten, and every node knows its place, so
 * that a formatter can work from it and the comments.
 */
import type { Source, Span } from "../problem.ts";
import type { Value } from "../value.ts";

export interface Module {
  readonly source: Source;
  readonly package: Package;
  readonly imports: readonly Import[];
  readonly rules: readonly Rule[];
  /** All comments, in order of their places. */
  readonly comments: readonly Comment[];
  /** The comments that begin with METADATA, read. */
  readonly annotations: readonly Annotation[];
}

export interface Package extends Span {
  /** Without the leading `data`. */
  readonly path: readonly string[];
}

export interface Import extends Span {
  /** From `data`, `input`, `rego` or `future` on. */
  readonly path: readonly string[];
  readonly alias: string | undefined;
}

export interface Comment extends Span {
  /** Without the `#`. */
  readonly text: string;
}

export type AnnotationScope = "package" | "subpackages" | "document" | "rule";

export interface Annotation extends Span {
  readonly scope: AnnotationScope;
  /** All fields as they were read, the scope among them. */
  readonly fields: Value;
  /** Offset of the package or rule that it stands before. */
  readonly target: number;
}

export interface Rule extends Span {
  readonly isDefault: boolean;
  /** The name with what follows it: `a.b[x]`. */
  readonly head: Var | Ref;
  /** Of a function; undefined for other rules. */
  readonly args: readonly Term[] | undefined;
  /** What follows `contains`. */
  readonly member: Term | undefined;
  /** What follows `:=` or `=`; undefined stands for `true`. */
  readonly value: Term | undefined;
  readonly operator: ":=" | "=" | undefined;
  readonly body: Body | undefined;
  readonly otherwise: readonly Else[];
}

export interface Else extends Span {
  readonly value: Term | undefined;
  readonly operator: ":=" | "=" | undefined;
  readonly body: Body | undefined;
}

export interface Body extends Span {
  readonly literals: readonly Literal[];
  /** Whether it stands in braces. */
  readonly braced: boolean;
}

/** One expression of a body with what stands before and after it. */
export interface Literal extends Span {
  readonly negated: boolean;
  readonly expression: Expression;
  readonly with: readonly With[];
}

export interface With extends Span {
  readonly target: Var | Ref;
  readonly value: Term;
}

export type Expression =
  | ({ readonly kind: "term"; readonly term: Term } & Span)
  | ({ readonly kind: "unify" | "assign"; readonly left: Term; readonly right: Term } & Span)
  | ({ readonly kind: "some"; readonly names: readonly Var[] } & Span)
  | ({
      readonly kind: "someIn";
      readonly key: Term | undefined;
      readonly value: Term;
      readonly domain: Term;
    } & Span)
  /** `not` before a body in braces; before anything else it is a mark of the literal. */
  | ({ readonly kind: "not"; readonly body: Body } & Span)
  | ({
      readonly kind: "every";
      readonly key: Term | undefined;
      readonly value: Term;
      readonly domain: Term;
      readonly body: Body;
    } & Span);

export type Term = Scalar | Var | Ref | Call | ArrayTerm | SetTerm | ObjectTerm | Comprehension | Template;

export interface Scalar extends Span {
  readonly kind: "scalar";
  readonly value: Value;
}

export interface Var extends Span {
  readonly kind: "var";
  /** `_` stands for a new variable at each place. */
  readonly name: string;
}

/** A head and the steps into it; the head is no reference itself. */
export interface Ref extends Span {
  readonly kind: "ref";
  readonly head: Exclude<Term, Ref>;
  readonly path: readonly Step[];
}

export interface Step extends Span {
  readonly term: Term;
  /** Whether it is written `.name`. */
  readonly dotted: boolean;
}

export interface Call extends Span {
  readonly kind: "call";
  /** The function's name; of an operator, the name of its built-in. */
  readonly callee: Var | Ref;
  readonly args: readonly Term[];
  /** The operator when the call is written as one. */
  readonly infix: string | undefined;
}

export interface ArrayTerm extends Span {
  readonly kind: "array";
  readonly items: readonly Term[];
}

export interface SetTerm extends Span {
  readonly kind: "set";
  readonly items: readonly Term[];
}

export interface ObjectTerm extends Span {
  readonly kind: "object";
  readonly entries: readonly (readonly [Term, Term])[];
}

export interface Comprehension extends Span {
  readonly kind: "comprehension";
  readonly of: "array" | "set" | "object";
  /** Of objects. */
  readonly key: Term | undefined;
  readonly value: Term;
  readonly body: Body;
}

/** `$"…{x}…"`: texts and, between them, literals of the kind `term`. */
export interface Template extends Span {
  readonly kind: "template";
  readonly parts: readonly (string | Literal)[];
}

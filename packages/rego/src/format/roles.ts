/**
 * What the marks of a module are for: which brackets hold a body, a comprehension, items or a key, which minus is a sign,
 * and where literals begin. Taken from the syntax tree, so that the formatter decides nothing that the parser decided.
 */
import type { Span } from "../problem.ts";
import type { Body, Call, Expression, Literal, Module, Rule, Step, Term, Var } from "../syntax/ast.ts";

/** What stands between an opening bracket and its closing one. */
export type BracketRole = "body" | "inline" | "comprehension" | "items" | "arguments" | "key";

export interface Roles {
  /** By the offset of the opening bracket; a parenthesis that has no role only groups. A body in one line is `inline`. */
  readonly brackets: ReadonlyMap<number, BracketRole>;
  /** Offsets at which the literals of bodies and comprehensions begin. */
  readonly literals: ReadonlySet<number>;
  /** Offsets of minus signs that belong to a number. */
  readonly signs: ReadonlySet<number>;
  /** Operations in others, inner ones before outer ones: parentheses stand around each. */
  readonly nested: readonly Span[];
  /** Membership tests: parentheses around them stay. */
  readonly memberships: readonly Span[];
  /** Where template strings end, by where they begin. */
  readonly templates: ReadonlyMap<number, number>;
}

export function rolesOf(module: Module): Roles {
  const finder = new RoleFinder(module.source.text);
  for (const rule of module.rules) finder.rule(rule);
  return finder;
}

/** An operator between two terms; a minus before one is none, and a membership test is written as its author did. */
function isOperation(term: Term): boolean {
  return term.kind === "call" && term.infix !== undefined && term.infix !== "in" && term.args[0]?.end !== term.at;
}

function isComparison(term: Term): term is Call {
  return term.kind === "call" && /^(?:[=!]=|[<>]=?)$/.test(term.infix ?? "");
}

class RoleFinder implements Roles {
  readonly brackets = new Map<number, BracketRole>();
  readonly literals = new Set<number>();
  readonly signs = new Set<number>();
  readonly nested: Span[] = [];
  readonly memberships: Span[] = [];
  readonly templates = new Map<number, number>();
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  rule(rule: Rule): void {
    this.#term(rule.head);
    if (rule.args !== undefined) {
      this.brackets.set(rule.head.end, "arguments");
      this.#terms(rule.args);
    }
    for (const part of [rule, ...rule.otherwise]) {
      if (part.value !== undefined) this.#term(part.value);
      if (part.body !== undefined) this.#body(part.body);
    }
    if (rule.member !== undefined) this.#term(rule.member);
  }

  #body(body: Body): void {
    if (body.braced) this.brackets.set(body.at, "body");
    for (const literal of body.literals) this.#literal(literal);
  }

  #literal(literal: Literal): void {
    this.literals.add(literal.at);
    this.#expression(literal.expression);
    for (const { target, value } of literal.with) this.#terms([target, value]);
  }

  #expression(expression: Expression): void {
    switch (expression.kind) {
      case "term": {
        const { term } = expression;
        // What an expression as a whole compares needs no parentheses, unless it is a comparison too.
        if (isComparison(term)) {
          this.#terms(term.args);
          this.nested.push(...term.args.filter(isComparison));
        } else this.#term(term);
        break;
      }
      case "unify":
      case "assign":
        this.#terms([expression.left, expression.right]);
        break;
      case "some":
        break;
      case "someIn":
        if (expression.key !== undefined) this.#term(expression.key);
        this.#terms([expression.value, expression.domain]);
        break;
      case "not":
        this.#innerBody(expression.body);
        break;
      case "every":
        this.#term(expression.domain);
        this.#innerBody(expression.body);
        break;
    }
  }

  /** A body within a body stays in its line when it is short. */
  #innerBody(body: Body): void {
    this.#body(body);
    const text = this.#text.slice(body.at, body.end);
    if (body.literals.length === 1 && !/[\n#]/.test(text)) this.brackets.set(body.at, "inline");
  }

  #terms(terms: readonly Term[]): void {
    for (const term of terms) this.#term(term);
  }

  #steps(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.dotted) continue;
      this.brackets.set(step.at, "key");
      this.#term(step.term);
    }
  }

  #term(term: Term | Var): void {
    switch (term.kind) {
      case "var":
        break;
      case "scalar":
        if (this.#text[term.at] === "-") this.signs.add(term.at);
        break;
      case "ref":
        this.#term(term.head);
        this.#steps(term.path);
        break;
      case "call":
        if (term.infix === undefined) {
          this.#term(term.callee);
          this.brackets.set(term.callee.end, "arguments");
        }
        this.#terms(term.args);
        if (term.infix === "in") this.memberships.push(term);
        if (term.infix !== undefined) this.nested.push(...term.args.filter(isOperation));
        break;
      case "array":
      case "set":
        // The empty set is written like a call.
        if (this.#text.startsWith("set", term.at)) this.brackets.set(term.at + "set".length, "arguments");
        else this.brackets.set(term.at, "items");
        this.#terms(term.items);
        break;
      case "object":
        this.brackets.set(term.at, "items");
        for (const entry of term.entries) this.#terms(entry);
        break;
      case "comprehension":
        this.brackets.set(term.at, "comprehension");
        if (term.key !== undefined) this.#term(term.key);
        this.#term(term.value);
        this.#body(term.body);
        break;
      case "template":
        this.templates.set(term.at, term.end);
        break;
    }
  }
}

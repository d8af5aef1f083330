/** Goes through all terms of a resolved body, those of bodies inside it too. */

import type { ResolvedBody, ResolvedLiteral, ResolvedRule, ResolvedTerm } from "./resolved.ts";

/** The terms right inside a term, without those of bodies of its own. */
export function childrenOf(term: ResolvedTerm): readonly ResolvedTerm[] {
  switch (term.kind) {
    case "ref":
      return [term.head, ...term.path];
    case "call":
      return term.args;
    case "array":
    case "set":
      return term.items;
    case "object":
      return term.entries.flat();
    default:
      return [];
  }
}

export interface Visitor {
  term?(term: ResolvedTerm, isStatement: boolean): void;
  literal?(literal: ResolvedLiteral): void;
}

export function visitRule(rule: ResolvedRule, visitor: Visitor): void {
  for (const term of [...rule.tail, ...(rule.args ?? [])]) visitTerm(term, visitor);
  for (const { body, value } of rule.branches) {
    visitBody(body, visitor);
    visitTerm(value, visitor);
  }
}

function visitBody(body: ResolvedBody, visitor: Visitor): void {
  for (const literal of body) {
    visitor.literal?.(literal);
    const { expression } = literal;
    switch (expression.kind) {
      case "term":
        visitTerm(expression.term, visitor, true);
        break;
      case "unify":
        visitTerm(expression.left, visitor);
        visitTerm(expression.right, visitor);
        break;
      case "someIn":
        if (expression.key !== undefined) visitTerm(expression.key, visitor);
        visitTerm(expression.value, visitor);
        visitTerm(expression.domain, visitor);
        break;
      case "not":
        visitBody(expression.body, visitor);
        break;
      case "every":
        visitTerm(expression.domain, visitor);
        visitBody(expression.body, visitor);
        break;
    }
    for (const { replacement } of literal.with) {
      if (replacement.kind === "value") visitTerm(replacement.term, visitor);
    }
  }
}

function visitTerm(term: ResolvedTerm, visitor: Visitor, isStatement = false): void {
  visitor.term?.(term, isStatement);
  for (const child of childrenOf(term)) visitTerm(child, visitor);
  if (term.kind === "comprehension") {
    if (term.key !== undefined) visitTerm(term.key, visitor);
    visitTerm(term.value, visitor);
    visitBody(term.body, visitor);
  } else if (term.kind === "template") {
    for (const part of term.parts) if (typeof part !== "string") visitBody(part.body, visitor);
  }
}

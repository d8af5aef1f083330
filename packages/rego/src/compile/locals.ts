/** Which variables stand in terms and bodies; with those of bodies inside them, or without. */
import type { Local, ResolvedBody, ResolvedLiteral, ResolvedTerm } from "./resolved.ts";
import { childrenOf } from "./visit.ts";

/** The variables of a term, without those of bodies of its own. */
export function localsOf(term: ResolvedTerm, found: Set<Local> = new Set()): Set<Local> {
  if (term.kind === "local") found.add(term.local);
  for (const child of childrenOf(term)) localsOf(child, found);
  return found;
}

/** The variables of a literal, without those of bodies inside it. */
export function localsOfLiteral(literal: ResolvedLiteral): Set<Local> {
  const found = new Set<Local>();
  const { expression } = literal;
  switch (expression.kind) {
    case "term":
      localsOf(expression.term, found);
      break;
    case "unify":
      localsOf(expression.left, found);
      localsOf(expression.right, found);
      break;
    case "someIn":
      if (expression.key !== undefined) localsOf(expression.key, found);
      localsOf(expression.value, found);
      localsOf(expression.domain, found);
      break;
    case "not":
      break;
    case "every":
      localsOf(expression.domain, found);
      break;
  }
  for (const { replacement } of literal.with) if (replacement.kind === "value") localsOf(replacement.term, found);
  return found;
}

/** All variables of a comprehension or template string, those of bodies inside it too. */
export function localsOfClosure(term: ResolvedTerm): ReadonlySet<Local> {
  const found = new Set<Local>();
  localsDeep(term, found);
  return found;
}

export function localsOfBodyDeep(body: ResolvedBody): ReadonlySet<Local> {
  const found = new Set<Local>();
  for (const literal of body) localsOfLiteralDeep(literal, found);
  return found;
}

function localsOfLiteralDeep(literal: ResolvedLiteral, found: Set<Local>): void {
  const { expression } = literal;
  switch (expression.kind) {
    case "term":
      localsDeep(expression.term, found);
      break;
    case "unify":
      localsDeep(expression.left, found);
      localsDeep(expression.right, found);
      break;
    case "someIn":
      if (expression.key !== undefined) localsDeep(expression.key, found);
      localsDeep(expression.value, found);
      localsDeep(expression.domain, found);
      break;
    case "not":
      for (const inner of expression.body) localsOfLiteralDeep(inner, found);
      break;
    case "every":
      localsDeep(expression.domain, found);
      if (expression.key !== undefined) found.add(expression.key);
      found.add(expression.value);
      for (const inner of expression.body) localsOfLiteralDeep(inner, found);
      break;
  }
  for (const { replacement } of literal.with) if (replacement.kind === "value") localsDeep(replacement.term, found);
}

function localsDeep(term: ResolvedTerm, found: Set<Local>): void {
  switch (term.kind) {
    case "local":
      found.add(term.local);
      return;
    case "comprehension":
      if (term.key !== undefined) localsDeep(term.key, found);
      localsDeep(term.value, found);
      for (const literal of term.body) localsOfLiteralDeep(literal, found);
      return;
    case "template":
      for (const part of term.parts) {
        if (typeof part !== "string") for (const literal of part.body) localsOfLiteralDeep(literal, found);
      }
      return;
    default:
      for (const child of childrenOf(term)) localsDeep(child, found);
  }
}

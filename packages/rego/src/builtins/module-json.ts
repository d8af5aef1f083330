/** A module as the JSON in which OPA writes its syntax tree; what `rego.parse_module` answers. */
import type { Body, Call, Else, Expression, Literal, Module, Ref, Rule, Term, Var } from "../syntax/ast.ts";
import { isArray, isObject, isSet, kindOf, sortedEntries, type Value } from "../value.ts";

/** OPA's names of operators. */
const OPERATORS: ReadonlyMap<string, string> = new Map([
  ["equal", "equal"],
  ["=", "eq"],
  [":=", "assign"],
]);

export function moduleJson(module: Module): Value {
  const writer = new ModuleWriter();
  return {
    package: { path: [variable("data"), ...module.package.path.map(text)] },
    ...(module.imports.length === 0
      ? {}
      : {
          imports: module.imports.map(({ path: [root = "", ...rest], alias }) => ({
            path: { type: "ref", value: [variable(root), ...rest.map(text)] },
            ...(alias === undefined ? {} : { alias }),
          })),
        }),
    ...(module.rules.length === 0 ? {} : { rules: module.rules.map((rule) => writer.rule(rule)) }),
    ...(module.comments.length === 0 ? {} : { comments: module.comments.map((comment) => ({ Text: comment.text })) }),
  };
}

function variable(name: string): Value {
  return { type: "var", value: name };
}

function text(value: string): Value {
  return { type: "string", value };
}

class ModuleWriter {
  /** Variables that nobody named so far. */
  #wildcards = 0;

  rule(rule: Rule): Value {
    const ref = this.#path(rule.head);
    const name = rule.head.kind === "var" ? rule.head.name : undefined;
    return {
      ...(rule.isDefault ? { default: true } : {}),
      head: {
        ...(name === undefined ? {} : { name }),
        ref,
        ...(rule.args === undefined ? {} : { args: rule.args.map((arg) => this.#term(arg)) }),
        ...(rule.member === undefined ? {} : { key: this.#term(rule.member) }),
        ...(rule.member === undefined ? { value: this.#valueOf(rule.value) } : {}),
        ...(rule.operator === ":=" ? { assign: true } : {}),
      },
      body: this.#body(rule.body),
      ...this.#otherwise(rule.otherwise, name, ref),
    };
  }

  #otherwise(branches: readonly Else[], name: string | undefined, ref: Value): { readonly [key: string]: Value } {
    const [first, ...rest] = branches;
    if (first === undefined) return {};
    return {
      else: {
        head: {
          ...(name === undefined ? {} : { name }),
          ref,
          value: this.#valueOf(first.value),
          ...(first.operator === ":=" ? { assign: true } : {}),
        },
        body: this.#body(first.body),
        ...this.#otherwise(rest, name, ref),
      },
    };
  }

  #valueOf(term: Term | undefined): Value {
    return term === undefined ? { type: "boolean", value: true } : this.#term(term);
  }

  #body(body: Body | undefined): Value {
    if (body === undefined) return [{ generated: true, index: 0, terms: { type: "boolean", value: true } }];
    return body.literals.map((literal, index) => this.#literal(literal, index));
  }

  #literal(literal: Literal, index: number): Value {
    return {
      index,
      ...(literal.negated ? { negated: true } : {}),
      terms: this.#expression(literal.expression),
      ...(literal.with.length === 0
        ? {}
        : {
            with: literal.with.map(({ target, value }) => ({
              target: { type: "ref", value: this.#path(target) },
              value: this.#term(value),
            })),
          }),
    };
  }

  #expression(expression: Expression): Value {
    switch (expression.kind) {
      case "term":
        return expression.term.kind === "call" ? this.#call(expression.term) : this.#term(expression.term);
      case "unify":
      case "assign":
        return [
          operator(expression.kind === "unify" ? "=" : ":="),
          this.#term(expression.left),
          this.#term(expression.right),
        ];
      case "some":
        return { symbols: expression.names.map((name) => this.#term(name)) };
      case "someIn": {
        const { key, value, domain } = expression;
        const name = key === undefined ? "member_2" : "member_3";
        const args = (key === undefined ? [value, domain] : [key, value, domain]).map((term) => this.#term(term));
        const callee = { type: "ref", value: [variable("internal"), text(name)] };
        return { symbols: [{ type: "call", value: [callee, ...args] }] };
      }
      case "not":
        return { body: this.#body(expression.body), explicit_body: true };
      case "every":
        return {
          domain: this.#term(expression.domain),
          key: expression.key === undefined ? null : this.#term(expression.key),
          value: this.#term(expression.value),
          body: this.#body(expression.body),
        };
    }
  }

  #call(call: Call): Value[] {
    const callee =
      call.infix !== undefined && call.callee.kind === "var"
        ? operator(call.callee.name)
        : { type: "ref", value: this.#path(call.callee) };
    return [callee, ...call.args.map((arg) => this.#term(arg))];
  }

  #path(name: Var | Ref): Value[] {
    if (name.kind === "var") return [this.#term(name)];
    return [this.#term(name.head), ...name.path.map((step) => this.#term(step.term))];
  }

  #term(term: Term): Value {
    switch (term.kind) {
      case "scalar":
        return valueJson(term.value);
      case "var": {
        if (term.name !== "_") return variable(term.name);
        this.#wildcards += 1;
        return variable(`$${this.#wildcards - 1}`);
      }
      case "ref":
        return { type: "ref", value: this.#path(term) };
      case "call":
        return { type: "call", value: this.#call(term) };
      case "array":
      case "set":
        return { type: term.kind, value: term.items.map((item) => this.#term(item)) };
      case "object":
        return { type: "object", value: term.entries.map(([key, value]) => [this.#term(key), this.#term(value)]) };
      case "comprehension": {
        const value =
          term.key === undefined
            ? { term: this.#term(term.value), body: this.#body(term.body) }
            : { key: this.#term(term.key), value: this.#term(term.value), body: this.#body(term.body) };
        return { type: `${term.of}comprehension`, value };
      }
      case "template":
        return {
          type: "templatestring",
          value: { parts: term.parts.map((part) => (typeof part === "string" ? text(part) : this.#literal(part, 0))) },
        };
    }
  }
}

function operator(name: string): Value {
  return { type: "ref", value: [variable(OPERATORS.get(name) ?? name)] };
}

/** A value as a term. */
function valueJson(value: Value): Value {
  if (isArray(value)) return { type: "array", value: value.map(valueJson) };
  if (isSet(value)) return { type: "set", value: value.sorted().map(valueJson) };
  if (isObject(value)) {
    return { type: "object", value: sortedEntries(value).map(([key, member]) => [valueJson(key), valueJson(member)]) };
  }
  return value === null ? { type: "null" } : { type: kindOf(value), value };
}

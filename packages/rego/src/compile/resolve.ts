/**
 * Resolves names. A name in a rule is, in this order: a variable declared in the bodies around it (`:=`, `some`,
 * `every`, an argument); a rule of the package or an import; `input`, `data` or a built-in; and otherwise a variable of
 * the rule that its first use declares. Also refuses what names cannot do: assigning twice, shadowing `input`, and the
 * like.
 */
import type { Builtin } from "../builtins/builtin.ts";
import { type Problem, type ProblemCode, problemAt, type Source, type Span } from "../problem.ts";
import type {
  Body,
  Call,
  Else,
  Expression,
  Literal,
  Module,
  Ref,
  Rule,
  Template,
  Term,
  Var,
  With,
} from "../syntax/ast.ts";
import { type Key, keyOf, ObjectBuilder, type Value, ValueSet, writeValue } from "../value.ts";
import { metadataChain, metadataOfRule } from "./metadata.ts";
import type {
  Callee,
  Local,
  ResolvedBody,
  ResolvedBranch,
  ResolvedExpression,
  ResolvedLiteral,
  ResolvedRule,
  ResolvedTerm,
  ResolvedWith,
} from "./resolved.ts";

/** What is known of all modules before any rule is resolved. */
export interface Names {
  readonly builtins: ReadonlyMap<string, Builtin>;
  /** Numbers of arguments, by path. */
  readonly functions: ReadonlyMap<Key, number>;
  /** First names of the rules of a package, by its path. */
  readonly packages: ReadonlyMap<Key, ReadonlySet<string>>;
  readonly modules: readonly Module[];
}

/** Ends the resolving of one rule. */
export class CompileFault {
  readonly code: ProblemCode;
  readonly at: number;
  readonly message: string;
  readonly hint: string;

  constructor(at: number, message: string, hint = "", code: ProblemCode = "rego_compile_error") {
    this.code = code;
    this.at = at;
    this.message = message;
    this.hint = hint;
  }
}

export function collectNames(modules: readonly Module[], builtins: ReadonlyMap<string, Builtin>): Names {
  const functions = new Map<Key, number>();
  const packages = new Map<Key, Set<string>>();
  for (const module of modules) {
    const key = keyOf(module.package.path);
    let names = packages.get(key);
    if (names === undefined) {
      names = new Set();
      packages.set(key, names);
    }
    for (const rule of module.rules) {
      names.add(firstName(rule.head));
      if (rule.args !== undefined) functions.set(keyOf(pathOfHead(module, rule.head).path), rule.args.length);
    }
  }
  return { builtins, functions, packages, modules };
}

function firstName(head: Var | Ref): string {
  const first = head.kind === "var" ? head : head.head;
  return first.kind === "var" ? first.name : "";
}

/** The constant part of a rule's path, and how many steps of its head that covers. */
function pathOfHead(module: Module, head: Var | Ref): { readonly path: readonly Value[]; readonly steps: number } {
  const path: Value[] = [...module.package.path, firstName(head)];
  let steps = 0;
  if (head.kind === "ref") {
    for (const step of head.path) {
      if (step.term.kind !== "scalar") break; // a collection is a key of a document, as a variable is
      path.push(step.term.value);
      steps += 1;
    }
  }
  return { path, steps };
}

/** The value of a term that is written out in full. */
function constantOf(term: Term): Value | undefined {
  switch (term.kind) {
    case "scalar":
      return term.value;
    case "array":
      return constantsOf(term.items);
    case "set": {
      const members = constantsOf(term.items);
      return members === undefined ? undefined : new ValueSet(members);
    }
    case "object": {
      const builder = new ObjectBuilder();
      for (const [key, value] of term.entries) {
        const [name, member] = [constantOf(key), constantOf(value)];
        if (name === undefined || member === undefined) return undefined;
        if (builder.get(name) !== undefined) return undefined; // refused, or merged, where objects are made
        builder.set(name, member);
      }
      return builder.finish();
    }
    default:
      return undefined;
  }
}

function constantsOf(terms: readonly Term[]): Value[] | undefined {
  const values: Value[] = [];
  for (const term of terms) {
    const value = constantOf(term);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

export type ModuleResolved = { readonly rules: readonly ResolvedRule[]; readonly problems: readonly Problem[] };

export function resolveModule(module: Module, names: Names): ModuleResolved {
  const problems: Problem[] = [];
  const rules: ResolvedRule[] = [];
  const globals = globalsOf(module, names, problems);
  for (const rule of module.rules) {
    try {
      rules.push(new Resolver(module.source, names, globals, { module, rule }).rule(module, rule));
    } catch (cause) {
      if (!(cause instanceof CompileFault)) throw cause; // a fault of the rule becomes a problem
      problems.push(problemAt(module.source, cause.code, cause.at, cause.message, cause.hint));
    }
  }
  return { rules, problems };
}

export interface QueryResolved {
  readonly body: ResolvedBody;
  /** The variables that were named in the query, in order of their first use. */
  readonly variables: readonly Local[];
  readonly frameSize: number;
}

/**
 * Resolves a query: names are variables, except `data`, `input` and built-ins, and what a module of the same package and
 * imports could name. Throws `CompileFault`.
 */
export function resolveQuery(source: Source, body: Body, names: Names, within: Module | undefined): QueryResolved {
  const globals = within === undefined ? new Map<string, readonly string[]>() : globalsOf(within, names, []);
  const resolver = new Resolver(source, names, globals, undefined);
  return resolver.query(body);
}

/** What the names of a package and its imports stand for. */
type Globals = ReadonlyMap<string, readonly string[]>;

function globalsOf(module: Module, names: Names, problems: Problem[]): Globals {
  const globals = new Map<string, readonly string[]>();
  for (const name of names.packages.get(keyOf(module.package.path)) ?? []) {
    globals.set(name, ["data", ...module.package.path, name]);
  }
  const imported = new Map<string, string>();
  for (const { path, alias, at } of module.imports) {
    const [root] = path;
    if (root === "rego" || root === "future") continue;
    const name = alias ?? path.at(-1) ?? "";
    const refuse = (message: string, hint: string) =>
      problems.push(problemAt(module.source, "rego_compile_error", at, message, hint));
    if ((name === "input" || name === "data") && path.length > 1) {
      refuse(`import must not shadow ${name}`, "give it another name with as");
      continue;
    }
    const earlier = imported.get(name);
    if (earlier !== undefined) {
      refuse(`import must not shadow import ${earlier}`, "give it another name with as");
      continue;
    }
    imported.set(name, path.join("."));
    if (path.length > 1 || alias !== undefined) globals.set(name, path);
  }
  return globals;
}

type Occurrence = "argument" | "assigned" | "declared" | "used";

/** The variables declared in one body. */
interface Scope {
  readonly locals: Map<string, Local>;
  readonly occurrences: Map<string, Occurrence>;
  /** Where `some` declared what is not used yet. */
  readonly unused: Map<string, number>;
}

function makeScope(): Scope {
  return { locals: new Map(), occurrences: new Map(), unused: new Map() };
}

class Resolver {
  readonly #source: Source;
  readonly #names: Names;
  readonly #globals: Globals;
  readonly #place: { readonly module: Module; readonly rule: Rule } | undefined;
  /** Whether `not` negates all that it is written before, which an import asks for. */
  readonly #negatesBodies: boolean;
  #scopes: Scope[] = [];
  /** Variables that no body declares, by name; they belong to the branch. */
  #implicit = new Map<string, Local>();
  #nextSlot = 0;

  constructor(
    source: Source,
    names: Names,
    globals: Globals,
    place: { readonly module: Module; readonly rule: Rule } | undefined,
  ) {
    this.#source = source;
    this.#names = names;
    this.#globals = globals;
    this.#place = place;
    this.#negatesBodies =
      place?.module.imports.some(({ path: [root, , keyword = "not"] }) => root === "future" && keyword === "not") ??
      false;
  }

  rule(module: Module, rule: Rule): ResolvedRule {
    const name = firstName(rule.head);
    if (name === "input" || name === "data") {
      throw new CompileFault(rule.at, `rules must not shadow ${name} (use a different rule name)`);
    }
    const { path, steps } = pathOfHead(module, rule.head);
    const tailTerms = rule.head.kind === "ref" ? rule.head.path.slice(steps).map((step) => step.term) : [];
    if (rule.args !== undefined && tailTerms.length > 0) {
      throw new CompileFault(rule.at, "functions must have a name without variables");
    }
    this.#nextSlot = (rule.args?.length ?? 0) + 2;
    const argumentScope = makeScope();
    this.#scopes = [argumentScope];
    const args = this.#arguments(rule.args, argumentScope);
    const branches: ResolvedBranch[] = [];
    let tail: readonly ResolvedTerm[] = [];
    const parts: readonly (Rule | Else)[] = [rule, ...rule.otherwise];
    for (const [index, part] of parts.entries()) {
      this.#implicit = new Map();
      this.#scopes = [argumentScope];
      const body = part.body === undefined ? [] : this.#bodyHere(part.body);
      const extra = this.#argumentsInBody(rule.args, args);
      const head = index === 0 ? (rule.member ?? rule.value) : part.value;
      const value: ResolvedTerm =
        head === undefined ? { kind: "constant", value: true, at: part.at, end: part.at } : this.#term(head);
      if (index === 0) tail = tailTerms.map((term) => this.#term(term));
      this.#checkUnused();
      branches.push({ at: part.at, end: part.end, body: [...body, ...extra], value });
    }
    if (rule.isDefault) this.#checkDefault(rule, args);
    return {
      rule,
      source: this.#source,
      path,
      tail,
      isMultiValue: rule.member !== undefined,
      args,
      branches,
      frameSize: this.#nextSlot,
    };
  }

  query(body: Body): QueryResolved {
    this.#nextSlot = 1; // the first place is the result's
    this.#scopes = [];
    const resolved = this.#bodyHere(body);
    const declared = this.#scopes[0]?.locals ?? new Map<string, Local>();
    this.#checkUnused();
    const variables = [...this.#implicit.values(), ...declared.values()].sort((a, b) => a.slot - b.slot);
    return {
      body: resolved,
      variables: variables.filter(({ name }) => name !== "_" && name !== "$"),
      frameSize: this.#nextSlot,
    };
  }

  #local(name: string): Local {
    const local = { slot: this.#nextSlot, name };
    this.#nextSlot += 1;
    return local;
  }

  // Arguments

  /** The patterns of the arguments; what is no pattern becomes a variable here and an expression in the body. */
  #arguments(args: readonly Term[] | undefined, scope: Scope): ResolvedTerm[] | undefined {
    return args?.map((arg, slot) => {
      const { at, end } = arg;
      if (arg.kind === "var" && arg.name !== "_" && !scope.locals.has(arg.name)) {
        const local = { slot, name: arg.name };
        this.#declareName(scope, arg, local, "argument");
        return { kind: "local", local, at, end };
      }
      if (arg.kind === "var" && arg.name === "_") return { kind: "local", local: { slot, name: "_" }, at, end };
      if (!isPattern(arg)) return { kind: "local", local: { slot, name: "_" }, at, end };
      for (const name of patternVars(arg)) {
        if (!scope.locals.has(name.name)) this.#declareName(scope, name, this.#local(name.name), "argument");
      }
      return this.#term(arg);
    });
  }

  /** Arguments that are no patterns, as expressions: `f(input.x)` holds when the argument equals it. */
  #argumentsInBody(
    args: readonly Term[] | undefined,
    resolved: readonly ResolvedTerm[] | undefined,
  ): ResolvedLiteral[] {
    const literals: ResolvedLiteral[] = [];
    for (const [index, arg] of (args ?? []).entries()) {
      const left = resolved?.[index];
      if (isPattern(arg) || left === undefined) continue;
      const { at, end } = arg;
      literals.push({ negated: false, with: [], at, end, expression: { kind: "unify", left, right: this.#term(arg) } });
    }
    return literals;
  }

  #checkDefault(rule: Rule, args: readonly ResolvedTerm[] | undefined): void {
    const names = new Set<string>();
    for (const [index, arg] of (rule.args ?? []).entries()) {
      if (arg.kind !== "var" || args?.[index]?.kind !== "local") {
        throw new CompileFault(
          arg.at,
          "illegal default rule (arguments cannot contain non-variable terms)",
          "write f(_)",
        );
      }
      if (arg.name !== "_" && names.has(arg.name)) {
        throw new CompileFault(
          arg.at,
          `illegal default rule (arguments cannot be repeated: ${arg.name})`,
          "write f(_)",
        );
      }
      names.add(arg.name);
    }
    if (rule.value !== undefined) refuseInDefault(rule.value);
  }

  // Scopes

  #top(): Scope {
    const top = this.#scopes.at(-1);
    if (top === undefined) throw new TypeError("a name outside of every body");
    return top;
  }

  #declareName(scope: Scope, name: Var, local: Local, how: Occurrence): void {
    if (name.name === "input" || name.name === "data") {
      throw new CompileFault(name.at, `variables must not shadow ${name.name} (use a different variable name)`);
    }
    scope.locals.set(name.name, local);
    scope.occurrences.set(name.name, how);
  }

  /** Declares a variable of the body at hand. */
  #declare(name: Var, how: "assigned" | "declared"): Local {
    if (name.name === "_") return this.#local("_");
    const scope = this.#top();
    const earlier =
      scope.occurrences.get(name.name) ??
      (this.#scopes.length === 2 && this.#place !== undefined
        ? this.#scopes[0]?.occurrences.get(name.name)
        : undefined);
    if (earlier !== undefined) {
      const message = {
        argument: `arg ${name.name} redeclared`,
        assigned: `var ${name.name} assigned above`,
        declared: `var ${name.name} declared above`,
        used: `var ${name.name} referenced above`,
      }[earlier];
      throw new CompileFault(name.at, message, "use a different variable name");
    }
    const local = this.#local(name.name);
    this.#declareName(scope, name, local, how);
    return local;
  }

  #checkUnused(): void {
    for (const scope of this.#scopes) {
      for (const [name, at] of scope.unused) throw new CompileFault(at, `declared var ${name} unused`);
    }
  }

  /** Resolves a body in a scope of its own, which is left again. */
  #body(body: Body): ResolvedBody {
    const resolved = this.#bodyHere(body);
    this.#leave();
    return resolved;
  }

  #leave(): void {
    for (const [name, at] of this.#top().unused) throw new CompileFault(at, `declared var ${name} unused`);
    this.#scopes.pop();
  }

  /** Resolves a body in a scope of its own, which stays open for what is named outside of it. */
  #bodyHere(body: Body): ResolvedBody {
    this.#scopes.push(makeScope());
    const literals: ResolvedLiteral[] = [];
    for (const literal of body.literals) {
      const resolved = this.#literal(literal);
      if (resolved === undefined) continue;
      if (resolved.negated && !this.#negatesBodies) literals.push(...this.#putBefore(resolved));
      else literals.push(resolved);
    }
    return literals;
  }

  /**
   * What OPA puts before a negation: the operands of its call and the parts of its values, as expressions of their own.
   * Where one is undefined the negation does not hold, but is undefined too. An import of `future.keywords.not` makes
   * them part of what is negated.
   */
  #putBefore(literal: ResolvedLiteral): readonly ResolvedLiteral[] {
    const before: ResolvedLiteral[] = [];
    const put = (term: ResolvedTerm): ResolvedTerm => {
      switch (term.kind) {
        case "constant":
        case "local":
          return term;
        case "array":
        case "set":
          return { ...term, items: term.items.map(put) };
        case "object":
          return { ...term, entries: term.entries.map(([key, value]) => [put(key), put(value)]) };
        default: {
          const { at, end } = term;
          const left: ResolvedTerm = { kind: "local", local: this.#local("$"), at, end };
          const expression: ResolvedExpression = { kind: "unify", left, right: term };
          // A call may go through what its operands leave open, as it may anywhere else.
          const closed = term.kind === "call" ? {} : { isClosed: true as const };
          before.push({ negated: false, with: literal.with, at, end, expression, ...closed });
          return left;
        }
      }
    };
    const putInside = (term: ResolvedTerm): ResolvedTerm => {
      if (term.kind === "ref") {
        const head = term.head.kind === "root" || term.head.kind === "local" ? term.head : put(term.head);
        return { ...term, head: head.kind === "ref" ? term.head : head, path: term.path.map(put) };
      }
      return term.kind === "comprehension" || term.kind === "root" || term.kind === "template" ? term : put(term);
    };
    const { expression } = literal;
    let rest = expression;
    if (expression.kind === "unify") {
      rest = { kind: "unify", left: putInside(expression.left), right: putInside(expression.right) };
    } else if (expression.kind === "term") {
      const { term } = expression;
      if (term.kind !== "call") rest = { kind: "term", term: putInside(term) };
      else if (term.callee.kind !== "builtin" || term.callee.name !== "print") {
        const isEquality = term.callee.kind === "builtin" && term.callee.name === "equal" && term.args.length === 2;
        rest = { kind: "term", term: { ...term, args: term.args.map(isEquality ? putInside : put) } };
      }
    }
    return [...before, { ...literal, expression: rest }];
  }

  // Expressions

  #literal(literal: Literal): ResolvedLiteral | undefined {
    const { negated, at, end } = literal;
    // What `with` puts in place is resolved first: it knows nothing of what the expression declares.
    const modifiers = literal.with.map((modifier) => this.#with(modifier));
    const expression = this.#expression(literal.expression);
    if (expression === undefined) return undefined;
    return { negated, expression, with: modifiers, at, end };
  }

  /** The expression; undefined for a mere declaration. */
  #expression(expression: Expression): ResolvedExpression | undefined {
    switch (expression.kind) {
      case "term":
        return { kind: "term", term: this.#term(expression.term) };
      case "unify":
        return { kind: "unify", left: this.#term(expression.left), right: this.#term(expression.right) };
      case "assign": {
        const right = this.#term(expression.right);
        this.#checkAssignable(expression.left);
        for (const name of patternVars(expression.left)) this.#declareAssigned(name);
        return { kind: "unify", left: this.#term(expression.left), right };
      }
      case "some":
        for (const name of expression.names) {
          if (name.name === "_") continue;
          this.#declare(name, "declared");
          this.#top().unused.set(name.name, name.at);
        }
        return undefined;
      case "someIn": {
        const domain = this.#term(expression.domain);
        const patterns = expression.key === undefined ? [expression.value] : [expression.key, expression.value];
        const declared = new Set<string>();
        for (const name of patterns.flatMap(patternVars)) {
          if (name.name !== "_" && !declared.has(name.name)) this.#declare(name, "declared");
          declared.add(name.name);
        }
        const key = expression.key === undefined ? undefined : this.#term(expression.key);
        return { kind: "someIn", key, value: this.#term(expression.value), domain };
      }
      case "not":
        return { kind: "not", body: this.#body(expression.body) };
      case "every": {
        const domain = this.#term(expression.domain);
        this.#scopes.push(makeScope());
        const key = expression.key?.kind === "var" ? this.#declare(expression.key, "declared") : undefined;
        if (expression.value.kind !== "var") throw new CompileFault(expression.at, "expected a variable after every");
        const value = this.#declare(expression.value, "declared");
        for (const name of [expression.key, expression.value]) {
          if (name?.kind === "var" && name.name !== "_") this.#top().unused.set(name.name, name.at);
        }
        const body = this.#body(expression.body);
        this.#leave();
        return { kind: "every", key, value, domain, body };
      }
    }
  }

  /** Declares what stands left of `:=`; a pattern may name a variable twice. */
  #declareAssigned(name: Var): void {
    this.#declare(name, "assigned");
  }

  #checkAssignable(term: Term): void {
    switch (term.kind) {
      case "var":
      case "scalar":
        return;
      case "array":
        term.items.forEach((item) => {
          this.#checkAssignable(item);
        });
        return;
      case "object":
        for (const [, value] of term.entries) this.#checkAssignable(value);
        return;
      default:
        throw new CompileFault(term.at, `cannot assign to ${nameOfKind(term)}`, "the left side of := is a variable");
    }
  }

  #with(modifier: With): ResolvedWith {
    const { at, end } = modifier;
    const { target } = modifier;
    const name = firstName(target);
    const path: Value[] = [];
    for (const step of target.kind === "ref" ? target.path : []) {
      const value = constantOf(step.term);
      if (value === undefined) throw new CompileFault(step.at, "with keyword target must not have variables");
      path.push(value);
    }
    const refuse = () =>
      new CompileFault(target.at, "with keyword target must reference existing input, data, or a function");
    if (this.#find(name) !== undefined) throw refuse();
    const global = name === "input" || name === "data" ? [name] : this.#globals.get(name);
    let resolved: ResolvedWith["target"];
    if (global !== undefined) {
      const [root, ...rest] = global;
      const full = [...rest, ...path];
      const isFunction = root === "data" && this.#names.functions.has(keyOf(full));
      if (isFunction) resolved = { kind: "callee", callee: { kind: "function", path: full } };
      else if (root === "input" || root === "data") resolved = { kind: root, path: full };
      else throw refuse();
    } else {
      const builtin = this.#builtinName(target);
      if (builtin === undefined) throw refuse();
      const known = this.#names.builtins.get(builtin);
      if (name === "internal" || known?.relation === true || known?.infix !== undefined) {
        throw new CompileFault(target.at, `with keyword cannot replace the built-in ${builtin}`);
      }
      resolved = { kind: "callee", callee: { kind: "builtin", name: builtin } };
    }
    if (resolved.kind === "callee") {
      const callee = this.#calleeOfTerm(modifier.value);
      if (callee !== undefined) {
        const [wanted, given] = [this.#arity(resolved.callee), this.#arity(callee)];
        if (wanted !== given) {
          throw new CompileFault(
            modifier.value.at,
            `with keyword cannot replace a function of ${wanted} arguments with one of ${given}`,
            "",
            "rego_type_error",
          );
        }
        return { target: resolved, replacement: { kind: "callee", callee }, at, end };
      }
    }
    return { target: resolved, replacement: { kind: "value", term: this.#term(modifier.value) }, at, end };
  }

  /** The function that a term names, when it names one. */
  #calleeOfTerm(term: Term): Callee | undefined {
    if (term.kind !== "var" && (term.kind !== "ref" || term.head.kind !== "var")) return undefined;
    const path = this.#globalPath(term);
    if (path !== undefined) return this.#names.functions.has(keyOf(path)) ? { kind: "function", path } : undefined;
    const name = this.#builtinName(term);
    return name === undefined ? undefined : { kind: "builtin", name };
  }

  #arity(callee: Callee): number | undefined {
    return callee.kind === "builtin"
      ? this.#names.builtins.get(callee.name)?.type.args.length
      : this.#names.functions.get(keyOf(callee.path));
  }

  // Terms

  #term(term: Term): ResolvedTerm {
    const { at, end } = term;
    const constant = constantOf(term);
    if (constant !== undefined) return { kind: "constant", value: constant, at, end };
    switch (term.kind) {
      case "scalar":
        return { kind: "constant", value: term.value, at, end };
      case "var":
        return this.#variable(term);
      case "ref": {
        const head = term.head.kind === "var" ? this.#variable(term.head) : this.#term(term.head);
        const path = term.path.map((step) => this.#term(step.term));
        return head.kind === "ref"
          ? { ...head, path: [...head.path, ...path], at, end }
          : { kind: "ref", head, path, at, end };
      }
      case "call":
        return this.#call(term);
      case "array":
      case "set":
        return { kind: term.kind, items: term.items.map((item) => this.#term(item)), at, end };
      case "object":
        return {
          kind: "object",
          entries: term.entries.map(([key, value]) => [this.#term(key), this.#term(value)]),
          at,
          end,
        };
      case "comprehension": {
        const body = this.#bodyHere(term.body);
        const key = term.key === undefined ? undefined : this.#term(term.key);
        const value = this.#term(term.value);
        this.#leave();
        return { kind: "comprehension", of: term.of, key, value, body, at, end };
      }
      case "template":
        return this.#template(term);
    }
  }

  #template(term: Template): ResolvedTerm {
    const parts = term.parts.map((part) => {
      if (typeof part === "string" || part.expression.kind !== "term") return part as string; // the parser lets only terms in
      const result = this.#local("$");
      const { at, end } = part;
      const modifiers = part.with.map((modifier) => this.#with(modifier));
      const left: ResolvedTerm = { kind: "local", local: result, at, end };
      const expression: ResolvedExpression = { kind: "unify", left, right: this.#term(part.expression.term) };
      return { result, body: [{ negated: false, expression, with: modifiers, at, end }] };
    });
    return { kind: "template", parts, at: term.at, end: term.end };
  }

  #find(name: string): Local | undefined {
    for (let index = this.#scopes.length - 1; index >= 0; index -= 1) {
      const local = this.#scopes[index]?.locals.get(name);
      if (local !== undefined) {
        this.#scopes[index]?.unused.delete(name);
        return local;
      }
    }
    return undefined;
  }

  #variable(term: Var): ResolvedTerm {
    const { name, at, end } = term;
    if (name === "_") return { kind: "local", local: this.#local("_"), at, end };
    const declared = this.#find(name);
    if (declared !== undefined) return { kind: "local", local: declared, at, end };
    const global = this.#globals.get(name);
    if (name === "input" || name === "data") return { kind: "root", root: name, at, end };
    this.#markUsed(name);
    if (global !== undefined) {
      const [root, ...path] = global;
      const head: ResolvedTerm = { kind: "root", root: root === "input" ? "input" : "data", at, end };
      if (path.length === 0) return head;
      return { kind: "ref", head, path: path.map((value) => ({ kind: "constant", value, at, end })), at, end };
    }
    let local = this.#implicit.get(name);
    if (local === undefined) {
      local = this.#local(name);
      this.#implicit.set(name, local);
    }
    return { kind: "local", local, at, end };
  }

  #markUsed(name: string): void {
    const scope = this.#scopes.at(-1);
    if (scope !== undefined && !scope.occurrences.has(name)) scope.occurrences.set(name, "used");
  }

  /** The path from `data` that a name stands for when it is a rule or an import; undefined when it is neither. */
  #globalPath(term: Var | Ref): readonly Value[] | undefined {
    const name = firstName(term);
    if (this.#find(name) !== undefined) return undefined;
    const global = name === "data" ? ["data"] : this.#globals.get(name);
    if (global === undefined || global[0] !== "data") return undefined;
    const path: Value[] = global.slice(1);
    for (const step of term.kind === "ref" ? term.path : []) {
      const value = constantOf(step.term);
      if (value === undefined) return undefined;
      path.push(value);
    }
    return path;
  }

  #builtinName(term: Var | Ref): string | undefined {
    const name = [firstName(term), ...(term.kind === "ref" ? term.path.map((step) => constantOf(step.term)) : [])].join(
      ".",
    );
    return this.#names.builtins.has(name) ? name : undefined;
  }

  #call(term: Call): ResolvedTerm {
    const { at, end } = term;
    const metadata = this.#metadata(term);
    if (metadata !== undefined) return { kind: "constant", value: metadata, at, end };
    const args = term.args.map((arg) => this.#term(arg));
    if (term.infix !== undefined) return { kind: "call", callee: this.#operator(term), args, at, end };
    const path = this.#globalPath(term.callee);
    if (path !== undefined) {
      this.#markUsed(firstName(term.callee));
      const arity = this.#names.functions.get(keyOf(path));
      if (arity === undefined) throw this.#undefinedFunction(term, ["data", ...path].map(nameOfStep).join("."));
      return { kind: "call", callee: { kind: "function", path }, args, at, end };
    }
    const name = this.#builtinName(term.callee);
    if (name === undefined)
      throw this.#undefinedFunction(term, this.#source.text.slice(term.callee.at, term.callee.end));
    return { kind: "call", callee: { kind: "builtin", name }, args, at, end };
  }

  #operator(term: Call): Callee {
    return { kind: "builtin", name: this.#builtinName(term.callee) ?? "" };
  }

  #undefinedFunction(term: Call, name: string): CompileFault {
    const near = nearestName(name, this.#names.builtins.keys());
    return new CompileFault(
      term.at,
      `undefined function ${name}`,
      near === undefined ? "" : `did you mean ${near}?`,
      "rego_type_error",
    );
  }

  #metadata(term: Call): Value | undefined {
    if (term.callee.kind !== "ref" || term.args.length > 0 || this.#globals.has("rego")) return undefined;
    const name = this.#builtinName(term.callee);
    if (name !== "rego.metadata.chain" && name !== "rego.metadata.rule") return undefined;
    if (this.#place === undefined) return name === "rego.metadata.chain" ? [] : {};
    const { module, rule } = this.#place;
    const { path } = pathOfHead(module, rule.head);
    return name === "rego.metadata.chain"
      ? metadataChain(this.#names.modules, module, rule, path)
      : metadataOfRule(module, rule);
  }
}

function nameOfStep(step: Value): string {
  return typeof step === "string" ? step : writeValue(step);
}

function nameOfKind(term: Term): string {
  switch (term.kind) {
    case "ref":
      return "ref";
    case "call":
      return "call";
    case "set":
      return "set";
    case "comprehension":
      return `${term.of}comprehension`;
    case "template":
      return "template string";
    default:
      return term.kind;
  }
}

/** Variables, scalars and collections of them: what an argument or the left of `:=` can take apart. */
function isPattern(term: Term): boolean {
  switch (term.kind) {
    case "var":
    case "scalar":
      return true;
    case "array":
      return term.items.every(isPattern);
    case "object":
      return term.entries.every(([key, value]) => constantOf(key) !== undefined && isPattern(value));
    case "set":
      return constantOf(term) !== undefined;
    default:
      return false;
  }
}

/** The variables of a pattern, in order, `_` among them. */
function patternVars(term: Term): Var[] {
  switch (term.kind) {
    case "var":
      return [term];
    case "array":
      return term.items.flatMap(patternVars);
    case "object":
      return term.entries.flatMap(([, value]) => patternVars(value));
    default:
      return [];
  }
}

/** The value of a default rule is made of constants and comprehensions. */
function refuseInDefault(term: Term & Span): void {
  switch (term.kind) {
    case "var":
    case "ref":
    case "call":
      throw new CompileFault(term.at, `illegal default rule (value cannot contain ${term.kind})`);
    case "array":
    case "set":
      term.items.forEach(refuseInDefault);
      return;
    case "object":
      for (const [key, value] of term.entries) {
        refuseInDefault(key);
        refuseInDefault(value);
      }
      return;
    default:
      return;
  }
}

/** A name that differs in one or two letters. */
function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > 60) return undefined;
  let best: string | undefined;
  let least = name.length < 5 ? 2 : 3;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= least) continue;
    const distance = editDistance(name, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

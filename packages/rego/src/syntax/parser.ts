/**
 * Reads Rego v1 into a syntax tree, or says what is wrong with it. The grammar, from the loosest operator down:
 *
 *   module    = package import* rule*
 *   rule      = [default] head [contains term | := term] [if body] (else [:= term] [if body])*
 *   body      = "{" literal (newline or ";" literal)* "}" | literal
 *   literal   = [not] (some … | every … | term | term := term | term = term) (with ref as term)*
 *   term      = in < comparison < | < & < + - < * / % < operand
 *
 * A name, `(` and `[` belong together only when nothing stands between them. Reading never throws on any text: inside,
 * a `SyntaxFault` ends a rule, and reading goes on at the next line that begins with a name. Depth is bounded, and so
 * is going back: a comprehension that turned out to be none is not tried again.
 */
import { negateNumber } from "../number.ts";
import { makeSource, type Problem, problemAt, type Source, type Span } from "../problem.ts";
import { readAnnotations } from "./annotations.ts";
import type {
  Body,
  Call,
  Comment,
  Else,
  Expression,
  Import,
  Literal,
  Module,
  Package,
  Ref,
  Rule,
  Step,
  Term,
  Var,
  With,
} from "./ast.ts";
import { readTemplatePiece, readToken, type Token } from "./lexer.ts";

/** How deep terms may stand in each other. */
const TERM_DEPTH_MAX = 250;
/** Problems of one module that are reported. */
const PROBLEMS_MAX = 10;
/** Characters of one module. */
const MODULE_LENGTH_MAX = 8_000_000;

export type ModuleRead =
  | { readonly kind: "module"; readonly module: Module }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

export type QueryRead =
  | { readonly kind: "query"; readonly source: Source; readonly body: Body }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

/** Reads a module; `file` is only its name in problems. */
export function parseModule(file: string, text: string): ModuleRead {
  const source = makeSource(file, text);
  if (text.length > MODULE_LENGTH_MAX) {
    return {
      kind: "problems",
      problems: [problemAt(source, "rego_parse_error", 0, `module is longer than ${MODULE_LENGTH_MAX} characters`)],
    };
  }
  return new Parser(source).module();
}

/** Reads a query: a body without braces, and with references from `data` and `input` on. */
export function parseQuery(text: string): QueryRead {
  const source = makeSource("query", text);
  return new Parser(source).query();
}

const RESERVED = new Set([
  "as",
  "contains",
  "default",
  "else",
  "every",
  "false",
  "if",
  "import",
  "in",
  "not",
  "null",
  "package",
  "some",
  "true",
  "with",
]);

export function isReserved(name: string): boolean {
  return RESERVED.has(name);
}

/** The built-in behind an operator, and how tightly it binds. */
const OPERATORS: ReadonlyMap<string, { readonly name: string; readonly level: number }> = new Map([
  ["==", { name: "equal", level: 1 }],
  ["!=", { name: "neq", level: 1 }],
  ["<", { name: "lt", level: 1 }],
  ["<=", { name: "lte", level: 1 }],
  [">", { name: "gt", level: 1 }],
  [">=", { name: "gte", level: 1 }],
  ["|", { name: "or", level: 2 }],
  ["&", { name: "and", level: 3 }],
  ["+", { name: "plus", level: 4 }],
  ["-", { name: "minus", level: 4 }],
  ["*", { name: "mul", level: 5 }],
  ["/", { name: "div", level: 5 }],
  ["%", { name: "rem", level: 5 }],
]);

/** Ends the reading of a rule; caught in `module` and `query`, and where the parser goes back. */
class SyntaxFault {
  readonly at: number;
  readonly message: string;
  readonly hint: string;
  /** Whether it is about a bound, over which the parser does not go back. */
  readonly isBound: boolean;

  constructor(at: number, message: string, hint = "", isBound = false) {
    this.isBound = isBound;
    this.at = at;
    this.message = message;
    this.hint = hint;
  }
}

class Parser {
  readonly #source: Source;
  readonly #text: string;
  readonly #comments = new Map<number, Comment>();
  /** Offsets behind the head of what is no comprehension. */
  readonly #noComprehension = new Set<number>();
  #token: Token;
  /** Where the token before the current one ends. */
  #end = 0;
  #depth = 0;
  /** Whether `not { … }` negates a body, which an import asks for; else the braces are a set. */
  #notBodies = false;
  #abandoned: SyntaxFault | undefined;

  constructor(source: Source) {
    this.#source = source;
    this.#text = source.text;
    this.#token = this.#read(0);
  }

  module(): ModuleRead {
    const problems: Problem[] = [];
    let head: Package | undefined;
    const imports: Import[] = [];
    const rules: Rule[] = [];
    try {
      head = this.#package();
    } catch (cause) {
      problems.push(this.#problem(cause));
      return { kind: "problems", problems };
    }
    while (this.#token.kind !== "end") {
      const start = this.#token.at;
      try {
        if (this.#isKeyword("import")) imports.push(this.#import());
        else if (this.#isKeyword("package")) {
          throw new SyntaxFault(start, "unexpected package: a module has one package", "put it into a file of its own");
        } else rules.push(...this.#rules());
        this.#endOfStatement();
      } catch (cause) {
        problems.push(this.#problem(cause));
        if (problems.length >= PROBLEMS_MAX) break;
        this.#skipToNextRule(start);
      }
    }
    const comments = [...this.#comments.values()].sort((a, b) => a.at - b.at);
    const targets = [
      ...imports.map((node) => ({ at: node.at, kind: "import" as const })),
      ...rules.map((node) => ({ at: node.at, kind: "rule" as const })),
    ];
    const annotations = readAnnotations(this.#source, comments, [{ at: head.at, kind: "package" }, ...targets]);
    problems.push(...annotations.problems);
    if (problems.length > 0) return { kind: "problems", problems };
    return {
      kind: "module",
      module: { source: this.#source, package: head, imports, rules, comments, annotations: annotations.annotations },
    };
  }

  query(): QueryRead {
    try {
      const body = this.#literals("end", 0);
      return { kind: "query", source: this.#source, body };
    } catch (cause) {
      return { kind: "problems", problems: [this.#problem(cause)] };
    }
  }

  /** A fault of the text as a problem; anything else is a failure of ours. */
  #problem(cause: unknown): Problem {
    if (!(cause instanceof SyntaxFault)) throw cause;
    const further = this.#abandoned !== undefined && this.#abandoned.at > cause.at && !cause.isBound;
    const fault = further && this.#abandoned !== undefined ? this.#abandoned : cause;
    this.#abandoned = undefined;
    return problemAt(this.#source, "rego_parse_error", fault.at, fault.message, fault.hint);
  }

  /** Goes back over a fault. It is kept: when nothing else fits either, the reading that came furthest is reported. */
  #abandon(cause: unknown, offset: number, depth: number): void {
    if (!(cause instanceof SyntaxFault) || cause.isBound) throw cause; // a failure of ours, or a fault that stays
    if (this.#abandoned === undefined || cause.at > this.#abandoned.at) this.#abandoned = cause;
    this.#depth = depth;
    this.#goTo(offset);
  }

  #skipToNextRule(start: number): void {
    const pattern = /^[A-Za-z_]/gm;
    pattern.lastIndex = Math.max(start + 1, this.#token.at);
    const next = pattern.exec(this.#text);
    this.#depth = 0;
    this.#goTo(next === null ? this.#text.length : next.index);
  }

  // Tokens

  #read(offset: number): Token {
    return readToken(this.#text, offset, ({ at, end }) => {
      if (!this.#comments.has(at)) this.#comments.set(at, { at, end, text: this.#text.slice(at + 1, end).trimEnd() });
    });
  }

  #goTo(offset: number): void {
    this.#end = offset;
    this.#token = this.#read(offset);
  }

  #advance(): Token {
    const token = this.#token;
    this.#end = token.end;
    this.#token = this.#read(token.end);
    return token;
  }

  #isMark(mark: string): boolean {
    return this.#token.kind === "mark" && this.#token.mark === mark;
  }

  /** A keyword stands for itself unless a reference follows at once: `if.foo` is a name. */
  #isKeyword(word: string): boolean {
    return this.#token.kind === "name" && this.#token.name === word && !this.#isNamePart(this.#token);
  }

  #isNamePart(token: Token): boolean {
    return this.#text[token.end] === "." && /[A-Za-z_]/.test(this.#text[token.end + 1] ?? "");
  }

  #takeMark(mark: string): boolean {
    if (!this.#isMark(mark)) return false;
    this.#advance();
    return true;
  }

  #takeKeyword(word: string): boolean {
    if (!this.#isKeyword(word)) return false;
    this.#advance();
    return true;
  }

  #expectMark(mark: string, after: string): void {
    if (!this.#takeMark(mark)) throw this.#unexpected(`expected ${JSON.stringify(mark)} after ${after}`);
  }

  #unexpected(expectation = "", hint = ""): SyntaxFault {
    const token = this.#token;
    if (token.kind === "wrong") return new SyntaxFault(token.at, token.message);
    const found = this.#nameToken(token);
    return new SyntaxFault(token.at, `unexpected ${found}${expectation === "" ? "" : `: ${expectation}`}`, hint);
  }

  #nameToken(token: Token): string {
    switch (token.kind) {
      case "end":
        return "eof token";
      case "name":
        return RESERVED.has(token.name) ? `${token.name} keyword` : `identifier token ${token.name}`;
      case "number":
        return "number token";
      case "string":
      case "template":
        return "string token";
      case "mark":
        return `${token.mark} token`;
      case "wrong":
        return token.message;
    }
  }

  #endOfStatement(): void {
    if (this.#token.kind === "end" || this.#token.onNewLine || this.#takeMark(";")) return;
    throw this.#unexpected("", "begin a new line, or put ; between");
  }

  #span(at: number): Span {
    return { at, end: this.#end };
  }

  // Package and imports

  #package(): Package {
    const at = this.#token.at;
    if (!this.#takeKeyword("package")) {
      throw this.#unexpected("package expected", "a module begins with `package name`");
    }
    const path = this.#path("a package", true);
    if (path[0] === "data") path.shift();
    const result = { ...this.#span(at), path };
    this.#endOfStatement();
    return result;
  }

  /** Names joined by dots or in brackets as strings. */
  #path(what: string, anyName: boolean): string[] {
    const first = this.#token;
    if (first.kind !== "name" || (!anyName && RESERVED.has(first.name) && !this.#isNamePart(first))) {
      throw this.#unexpected(`expected the name of ${what}`);
    }
    this.#advance();
    const path = [first.name];
    while (!this.#token.spaced) {
      if (this.#takeMark(".")) path.push(this.#nameAfterDot());
      else if (this.#takeMark("[")) {
        const key = this.#token;
        if (key.kind !== "string") throw this.#unexpected(`${what} has names only`, "write a string in the brackets");
        this.#advance();
        this.#expectMark("]", "a name in brackets");
        path.push(key.value);
      } else break;
    }
    return path;
  }

  #nameAfterDot(): string {
    const token = this.#token;
    if (token.kind !== "name" || token.spaced) throw this.#unexpected("expected ident");
    this.#advance();
    return token.name;
  }

  #import(): Import {
    const at = this.#advance().at;
    const start = this.#token;
    const path = this.#path("an import", false);
    const [root] = path;
    if (root !== "data" && root !== "input" && root !== "rego" && root !== "future") {
      throw new SyntaxFault(
        start.at,
        `unexpected import path, must begin with one of: {data, future, input, rego}, got: ${root}`,
        `write import data.${path.join(".")}`,
      );
    }
    let alias: string | undefined;
    if (this.#takeKeyword("as")) {
      const token = this.#token;
      if (token.kind !== "name" || RESERVED.has(token.name)) throw this.#unexpected("expected a name after as");
      this.#advance();
      alias = token.name;
    }
    if (root === "rego" && (path.length !== 2 || path[1] !== "v1")) {
      throw new SyntaxFault(start.at, `invalid import ${JSON.stringify(path.join("."))}`, "rego.v1 is the only one");
    }
    if (root === "future" && path[1] !== "keywords") {
      throw new SyntaxFault(start.at, `unexpected import ${path.join(".")}`, "future.keywords is the only one");
    }
    if (root === "future" && (path[2] === "and" || path[2] === "or")) {
      throw new SyntaxFault(start.at, `the keyword ${path[2]} is not offered`, "write a rule for each alternative");
    }
    if (root === "future" && path.length > 2 && !["contains", "every", "if", "in", "not"].includes(path[2] ?? "")) {
      throw new SyntaxFault(start.at, `unexpected keyword ${path[2]}`, "must be one of contains, every, if, in, not");
    }
    if (root === "future" && (path[2] ?? "not") === "not") this.#notBodies = true;
    if ((root === "rego" || root === "future") && alias !== undefined) {
      throw new SyntaxFault(start.at, `${root} imports cannot be aliased`);
    }
    return { ...this.#span(at), path, alias };
  }

  // Rules

  /** A rule, and one more with the same head for each further body. */
  #rules(): Rule[] {
    const rule = this.#rule();
    const rules = [rule];
    if (rule.body === undefined) return rules;
    while (this.#isMark("{")) {
      if (rule.otherwise.length > 0) throw this.#unexpected("expected else keyword");
      const body = this.#bracedBody();
      rules.push({ ...rule, body, at: body.at, end: body.end });
    }
    if (rules.length > 1 && this.#isKeyword("else")) {
      throw this.#unexpected("", "a rule with several bodies has no else");
    }
    return rules;
  }

  #rule(): Rule {
    const at = this.#token.at;
    const isDefault = this.#takeKeyword("default");
    const head = this.#ruleHead();
    let args: Term[] | undefined;
    if (this.#isMark("(") && !this.#token.spaced) {
      this.#advance();
      args = this.#list(")", "an argument");
    }
    let member: Term | undefined;
    let value: Term | undefined;
    let operator: ":=" | "=" | undefined;
    if (this.#takeKeyword("contains")) {
      if (args !== undefined) throw new SyntaxFault(at, "the contains keyword can only be used with multi-value rules");
      member = this.#operation(true);
    } else {
      operator = this.#assignment();
      if (operator !== undefined) value = this.#operation(true);
    }
    if (isDefault) return this.#defaultRule({ at, head, args, member, value, operator });
    let body: Body | undefined;
    if (this.#takeKeyword("if")) body = this.#ruleBody();
    else if (this.#isMark("{") && !this.#token.onNewLine) {
      throw this.#unexpected("`if` keyword is required before rule body", "Rego v0: write `if` before the brace");
    } else if (args !== undefined && (this.#token.kind === "end" || this.#token.onNewLine || this.#isMark(";"))) {
      // A function without value and body is true of what its arguments match.
    } else if (member === undefined && operator === undefined) {
      throw this.#withoutIf(at, head, args);
    }
    const otherwise: Else[] = [];
    while (this.#isKeyword("else")) {
      if (member !== undefined) throw this.#unexpected("else keyword cannot be used on multi-value rules");
      if (body === undefined) throw this.#unexpected("else keyword cannot be used on rules without a body");
      if (head.kind === "ref" && args === undefined && !isGroundHead(head)) {
        throw this.#unexpected("else keyword cannot be used on rules with variables in head");
      }
      otherwise.push(this.#else());
    }
    return { ...this.#span(at), isDefault, head, args, member, value, operator, body, otherwise };
  }

  #defaultRule(parts: {
    at: number;
    head: Var | Ref;
    args: readonly Term[] | undefined;
    member: Term | undefined;
    value: Term | undefined;
    operator: ":=" | "=" | undefined;
  }): Rule {
    const { at, head, args, member, value, operator } = parts;
    if (member !== undefined) throw new SyntaxFault(at, "default rules must not be partial: contains is not allowed");
    if (value === undefined && args === undefined) {
      throw this.#unexpected("default rules must have a value", "write `default name := value`");
    }
    if (this.#isKeyword("if")) throw this.#unexpected("default rules have no body");
    if (head.kind === "ref" && !isGroundHead(head)) {
      throw new SyntaxFault(head.at, "default rules must have a name without variables");
    }
    return { ...this.#span(at), isDefault: true, head, args, member, value, operator, body: undefined, otherwise: [] };
  }

  /** Why a head alone, as Rego v0 allowed it, is no rule. */
  #withoutIf(at: number, head: Var | Ref, args: readonly Term[] | undefined): SyntaxFault {
    if (args !== undefined || head.kind === "var" || head.path.at(-1)?.dotted === true) {
      const name = this.#text.slice(at, this.#end);
      if (this.#token.kind === "wrong") return this.#unexpected();
      if (this.#token.kind !== "end" && !this.#token.onNewLine) return this.#unexpected();
      return new SyntaxFault(
        at,
        `var cannot be used for rule name: \`${name}\` has neither value nor body`,
        `write \`${name} := value\` or \`${name} if { … }\``,
      );
    }
    return new SyntaxFault(
      at,
      "`contains` keyword is required for partial set rules",
      "Rego v0: write `name contains member` instead of `name[member]`",
    );
  }

  #assignment(): ":=" | "=" | undefined {
    if (this.#takeMark(":=")) return ":=";
    return this.#takeMark("=") ? "=" : undefined;
  }

  #ruleHead(): Var | Ref {
    const token = this.#token;
    if (token.kind !== "name" || (RESERVED.has(token.name) && !this.#isNamePart(token))) {
      const hint = token.kind === "name" ? "a rule cannot be named like a keyword" : "a rule begins with its name";
      throw this.#unexpected("", hint);
    }
    this.#advance();
    const head: Var = { kind: "var", name: token.name, at: token.at, end: token.end };
    const path = this.#steps();
    return path.length === 0 ? head : { kind: "ref", head, path, ...this.#span(token.at) };
  }

  /** One literal, or a body in braces; what begins with a brace is a body only where it is no literal but a set. */
  #ruleBody(): Body {
    if (!this.#isMark("{")) return this.#singleLiteral();
    const before = this.#token.at;
    const depth = this.#depth;
    try {
      const body = this.#singleLiteral();
      const [literal] = body.literals;
      if (literal?.expression.kind !== "term" || literal.expression.term.kind !== "set") return body;
      this.#goTo(before);
    } catch (cause) {
      this.#abandon(cause, before, depth);
    }
    return this.#bracedBody();
  }

  #singleLiteral(): Body {
    const literal = this.#literal();
    return { literals: [literal], braced: false, at: literal.at, end: literal.end };
  }

  #bracedBody(): Body {
    const at = this.#token.at;
    this.#expectMark("{", "if");
    return this.#literals("}", at);
  }

  #else(): Else {
    const at = this.#advance().at;
    const operator = this.#assignment();
    const value = operator === undefined ? undefined : this.#operation(true);
    let body: Body | undefined;
    if (this.#takeKeyword("if")) body = this.#isMark("{") ? this.#bracedBody() : this.#singleLiteral();
    else if (this.#isMark("{") && !this.#token.onNewLine) {
      throw this.#unexpected(
        "`if` keyword is required before rule body",
        "write `else if { … }` or `else := value if { … }`",
      );
    } else if (value === undefined) throw this.#unexpected("else has neither value nor body");
    return { ...this.#span(at), operator, value, body };
  }

  // Bodies

  /** Literals up to a closing mark or the end of the text, which is taken too. */
  #literals(close: "}" | "]" | "end", at: number): Body {
    const literals: Literal[] = [];
    const isClosed = () => (close === "end" ? this.#token.kind === "end" : this.#isMark(close));
    while (this.#takeMark(";"));
    while (!isClosed()) {
      literals.push(this.#literal());
      let separated = this.#token.onNewLine;
      while (this.#takeMark(";")) separated = true;
      if (!separated && !isClosed()) throw this.#unexpected("", "begin a new line, or put ; between");
    }
    if (literals.length === 0) throw this.#unexpected("found empty body", "a body has at least one expression");
    if (close !== "end") this.#advance();
    return { literals, braced: close === "}", ...this.#span(at) };
  }

  #literal(): Literal {
    this.#enter();
    const at = this.#token.at;
    let negated = false;
    if (this.#takeKeyword("not")) {
      negated = true;
      if (this.#isKeyword("not")) throw this.#unexpected("", "one `not` is enough");
    }
    const hasBody = negated && this.#notBodies && this.#isMark("{");
    if (hasBody) negated = false;
    const expression = hasBody ? this.#notBody(at) : this.#expression(negated);
    const modifiers: With[] = [];
    while (this.#isKeyword("with")) modifiers.push(this.#with());
    this.#depth -= 1;
    return { negated, expression, with: modifiers, ...this.#span(at) };
  }

  #expression(negated: boolean): Expression {
    const at = this.#token.at;
    if (this.#isKeyword("some")) {
      if (negated) throw this.#unexpected("some cannot be negated", "declare the variable in a line before");
      return this.#some();
    }
    if (this.#isKeyword("every")) return this.#every();
    const left = this.#operation(true);
    const operator = this.#assignment();
    if (operator === undefined) return { kind: "term", term: left, ...this.#span(at) };
    if (negated && operator === ":=") throw new SyntaxFault(at, "cannot assign vars inside negated expression");
    const right = this.#operation(true);
    return { kind: operator === ":=" ? "assign" : "unify", left, right, ...this.#span(at) };
  }

  #notBody(at: number): Expression {
    const body = this.#bracedBody();
    return { kind: "not", body, ...this.#span(at) };
  }

  #some(): Expression {
    const at = this.#advance().at;
    const terms = [this.#comparison()];
    while (this.#takeMark(",")) terms.push(this.#comparison());
    if (this.#takeKeyword("in")) {
      const [first, second] = terms;
      if (first === undefined || terms.length > 2) throw new SyntaxFault(at, "expected at most two terms before in");
      const domain = this.#comparison();
      if (this.#isKeyword("in")) throw this.#unexpected("", "put the inner `in` into parentheses");
      const [key, value] = second === undefined ? [undefined, first] : [first, second];
      return { kind: "someIn", key, value, domain, ...this.#span(at) };
    }
    const names = terms.map((term) => {
      if (term.kind !== "var") {
        throw new SyntaxFault(term.at, "expected var or `x in xs` or `x, y in xs` expression after some");
      }
      return term;
    });
    return { kind: "some", names, ...this.#span(at) };
  }

  #every(): Expression {
    const at = this.#advance().at;
    const terms = [this.#comparison()];
    if (this.#takeMark(",")) terms.push(this.#comparison());
    const [first, second] = terms;
    for (const term of terms) {
      if (term.kind !== "var") throw new SyntaxFault(term.at, "expected a variable after every");
    }
    if (!this.#takeKeyword("in")) throw this.#unexpected("expected `x[, y] in xs { ... }` expression after every");
    const domain = this.#comparison();
    if (!this.#isMark("{")) throw this.#unexpected("missing body of every", "write `every x in xs { … }`");
    const body = this.#bracedBody();
    const [key, value] = second === undefined ? [undefined, first] : [first, second];
    return { kind: "every", key, value: value as Term, domain, body, ...this.#span(at) }; // the first term is there
  }

  #with(): With {
    const at = this.#advance().at;
    const target = this.#operand();
    if (target.kind !== "var" && (target.kind !== "ref" || target.head.kind !== "var")) {
      throw new SyntaxFault(target.at, "expected ref or var after with", "with replaces input, data or a function");
    }
    if (!this.#takeKeyword("as")) throw this.#unexpected("expected as keyword");
    const value = this.#operation(true);
    return { target: target as Var | Ref, value, ...this.#span(at) }; // just checked
  }

  // Terms

  #enter(): void {
    this.#depth += 1;
    if (this.#depth > TERM_DEPTH_MAX) {
      throw new SyntaxFault(this.#token.at, `terms stand deeper than ${TERM_DEPTH_MAX} in each other`, "", true);
    }
  }

  /** A term with operators down to `in`; `keyed` where `key, value in collection` is no list. */
  #operation(keyed: boolean): Term {
    this.#enter();
    let left = this.#comparison();
    if (keyed && this.#isMark(",")) {
      const before = this.#end;
      this.#advance();
      const middle = this.#tryComparison(before);
      if (middle !== undefined && this.#takeKeyword("in")) {
        const collection = this.#comparison();
        left = this.#call("internal.member_3", "in", [left, middle, collection]);
      } else this.#goTo(before);
    }
    let chained = 0;
    while (this.#takeKeyword("in")) {
      left = this.#call("internal.member_2", "in", [left, this.#comparison()]);
      chained += 1;
      if (chained > TERM_DEPTH_MAX) throw new SyntaxFault(left.at, "expression has too many operators");
    }
    this.#depth -= 1;
    return left;
  }

  #tryComparison(before: number): Term | undefined {
    const depth = this.#depth;
    try {
      return this.#comparison();
    } catch (cause) {
      this.#abandon(cause, before, depth); // a list goes on, and finds its own fault
      return undefined;
    }
  }

  #comparison(): Term {
    return this.#binary(1, undefined);
  }

  /** Operators of this level and tighter; `left` when the first operand is read already. */
  #binary(level: number, first: Term | undefined): Term {
    let left = first ?? this.#operand();
    let count = 0;
    for (;;) {
      const token = this.#token;
      const operator = token.kind === "mark" ? OPERATORS.get(token.mark) : undefined;
      if (operator === undefined || operator.level < level || token.kind !== "mark") return left;
      this.#advance();
      const right = this.#binary(operator.level + 1, undefined);
      left = this.#call(operator.name, token.mark, [left, right]);
      count += 1;
      if (count > TERM_DEPTH_MAX) throw new SyntaxFault(token.at, "expression has too many operators");
    }
  }

  #call(name: string, infix: string, args: readonly Term[]): Call {
    const at = args[0]?.at ?? this.#token.at;
    return { kind: "call", callee: nameTerm(name, at), args, infix, ...this.#span(at) };
  }

  /** A term without operators, with the steps and arguments that follow it. */
  #operand(): Term {
    this.#enter();
    const token = this.#token;
    const at = token.at;
    let term: Term;
    switch (token.kind) {
      case "number":
      case "string":
        this.#advance();
        term = { kind: "scalar", value: token.value, ...this.#span(at) };
        break;
      case "template":
        term = this.#template(token.at, token.end, token.quote);
        break;
      case "name":
        term = this.#named(token.name);
        break;
      case "mark":
        term = this.#marked(token.mark);
        break;
      default:
        throw this.#unexpected();
    }
    const result = this.#finish(term);
    this.#depth -= 1;
    return result;
  }

  #named(name: string): Term {
    const token = this.#token;
    const at = token.at;
    if (RESERVED.has(name) && !this.#isNamePart(token)) {
      // `contains` is a built-in too.
      if (name === "contains" && this.#text[token.end] === "(") {
        this.#advance();
        return { kind: "var", name, ...this.#span(at) };
      }
      if (name !== "true" && name !== "false" && name !== "null") throw this.#unexpected();
      this.#advance();
      return { kind: "scalar", value: name === "null" ? null : name === "true", ...this.#span(at) };
    }
    this.#advance();
    return { kind: "var", name, ...this.#span(at) };
  }

  #marked(mark: string): Term {
    const at = this.#token.at;
    switch (mark) {
      case "(": {
        this.#advance();
        const term = this.#operation(true);
        this.#expectMark(")", "a term in parentheses");
        return term;
      }
      case "-": {
        this.#advance();
        const token = this.#token;
        if (token.kind === "number") {
          this.#advance();
          return { kind: "scalar", value: negateNumber(token.value), ...this.#span(at) };
        }
        if (token.kind !== "name") throw this.#unexpected("expected number or reference after -");
        const term = this.#finish(this.#named(token.name));
        return this.#call("minus", "-", [{ kind: "scalar", value: 0, at, end: at }, term]);
      }
      case "[":
        return this.#array();
      case "{":
        return this.#braces();
      default:
        throw this.#unexpected();
    }
  }

  /** The steps and arguments right behind a term. */
  #finish(start: Term): Term {
    let term = start;
    for (let count = 0; ; count += 1) {
      if (count > TERM_DEPTH_MAX) throw new SyntaxFault(start.at, "reference has too many parts");
      if (this.#token.spaced || this.#token.kind !== "mark") return term;
      switch (this.#token.mark) {
        case "(": {
          if (term.kind !== "var" && (term.kind !== "ref" || term.head.kind !== "var")) return term;
          this.#advance();
          const args = this.#list(")", "an argument");
          term =
            term.kind === "var" && term.name === "set" && args.length === 0
              ? { kind: "set", items: [], ...this.#span(start.at) }
              : { kind: "call", callee: term, args, infix: undefined, ...this.#span(start.at) };
          break;
        }
        case ".":
        case "[": {
          if (term.kind === "scalar" || term.kind === "template") return term;
          const path = this.#steps();
          term =
            term.kind === "ref"
              ? { ...term, path: [...term.path, ...path], ...this.#span(start.at) }
              : { kind: "ref", head: term, path, ...this.#span(start.at) };
          break;
        }
        default:
          return term;
      }
    }
  }

  /** `.name` and `[term]`, as many as follow without a space. */
  #steps(): Step[] {
    const steps: Step[] = [];
    while (!this.#token.spaced && this.#token.kind === "mark") {
      const at = this.#token.at;
      if (steps.length > TERM_DEPTH_MAX) throw new SyntaxFault(at, "reference has too many parts");
      if (this.#isMark(".")) {
        this.#advance();
        const name = this.#nameAfterDot();
        const term: Term = { kind: "scalar", value: name, ...this.#span(at + 1) };
        steps.push({ term, dotted: true, ...this.#span(at) });
      } else if (this.#isMark("[")) {
        this.#advance();
        if (this.#isMark("]")) throw this.#unexpected("expected a key in the brackets", "write [_] for every key");
        const term = this.#operation(true);
        this.#expectMark("]", "the key of a reference");
        steps.push({ term, dotted: false, ...this.#span(at) });
      } else break;
    }
    return steps;
  }

  /** Terms up to a closing mark, which is taken too. */
  #list(close: ")" | "]" | "}", what: string, first?: Term): Term[] {
    const items: Term[] = [];
    let pending = first;
    while (pending !== undefined || !this.#takeMark(close)) {
      items.push(this.#restOfOperation(pending));
      pending = undefined;
      if (this.#takeMark(close)) break;
      if (!this.#takeMark(",")) throw this.#unexpected(`expected "," or ${JSON.stringify(close)} after ${what}`);
    }
    return items;
  }

  /** An operation whose first operand may be read already. */
  #restOfOperation(first: Term | undefined): Term {
    if (first === undefined) return this.#operation(false);
    let left = this.#binary(1, first);
    while (this.#takeKeyword("in")) left = this.#call("internal.member_2", "in", [left, this.#comparison()]);
    return left;
  }

  #array(): Term {
    const at = this.#advance().at;
    if (this.#takeMark("]")) return { kind: "array", items: [], ...this.#span(at) };
    const first = this.#operand();
    const body = this.#comprehensionBody("]");
    if (body !== undefined) {
      return { kind: "comprehension", of: "array", key: undefined, value: first, body, ...this.#span(at) };
    }
    const items = this.#list("]", "an item", first);
    return { kind: "array", items, ...this.#span(at) };
  }

  #braces(): Term {
    const at = this.#advance().at;
    if (this.#takeMark("}")) return { kind: "object", entries: [], ...this.#span(at) };
    const first = this.#operand();
    const body = this.#comprehensionBody("}");
    if (body !== undefined) {
      return { kind: "comprehension", of: "set", key: undefined, value: first, body, ...this.#span(at) };
    }
    const key = this.#restOfOperation(first);
    if (this.#takeMark(":")) return this.#object(at, key);
    const items = [key];
    while (!this.#takeMark("}")) {
      if (!this.#takeMark(",")) throw this.#unexpected('expected "," or "}" after a member');
      if (this.#takeMark("}")) break;
      items.push(this.#operation(false));
    }
    return { kind: "set", items, ...this.#span(at) };
  }

  #object(at: number, firstKey: Term): Term {
    const first = this.#operand();
    const body = this.#comprehensionBody("}");
    if (body !== undefined) {
      return { kind: "comprehension", of: "object", key: firstKey, value: first, body, ...this.#span(at) };
    }
    const entries: [Term, Term][] = [[firstKey, this.#restOfOperation(first)]];
    while (!this.#takeMark("}")) {
      if (!this.#takeMark(",")) throw this.#unexpected('expected "," or "}" after a value');
      if (this.#takeMark("}")) break;
      const key = this.#operation(false);
      this.#expectMark(":", "the key of an object");
      entries.push([key, this.#operation(false)]);
    }
    return { kind: "object", entries, ...this.#span(at) };
  }

  /** What follows `|` as the body of a comprehension; undefined when there is none, and then nothing is taken. */
  #comprehensionBody(close: "]" | "}"): Body | undefined {
    if (!this.#isMark("|")) return undefined;
    const before = this.#end;
    const depth = this.#depth;
    if (this.#noComprehension.has(before)) return undefined;
    const at = this.#advance().end;
    try {
      return { ...this.#literals(close, at), braced: false };
    } catch (cause) {
      // `{a | b, c}` is a set of unions: what is no comprehension may be an operation.
      this.#noComprehension.add(before);
      this.#abandon(cause, before, depth);
      return undefined;
    }
  }

  #template(at: number, start: number, quote: '"' | "`"): Term {
    const parts: (string | Literal)[] = [];
    let offset = start;
    for (;;) {
      const piece = readTemplatePiece(this.#text, offset, quote);
      if (piece.kind === "wrong") throw new SyntaxFault(piece.end, piece.message);
      if (piece.text !== "") parts.push(piece.text);
      offset = piece.end;
      if (piece.next === "end") break;
      this.#goTo(offset);
      if (this.#isMark("}")) throw this.#unexpected("expected an expression in the template string");
      const literal = this.#literal();
      if (literal.negated || literal.expression.kind !== "term") {
        throw new SyntaxFault(literal.at, "only terms are allowed in template strings");
      }
      if (!this.#isMark("}")) throw this.#unexpected('expected "}" after an expression in a template string');
      parts.push(literal);
      offset = this.#token.end;
    }
    this.#goTo(offset);
    return { kind: "template", parts, ...this.#span(at) };
  }
}

/** A dotted name as a term. */
function nameTerm(name: string, at: number): Var | Ref {
  const [first = "", ...rest] = name.split(".");
  const head: Var = { kind: "var", name: first, at, end: at };
  if (rest.length === 0) return head;
  const path = rest.map((part): Step => {
    const term: Term = { kind: "scalar", value: part, at, end: at };
    return { term, dotted: true, at, end: at };
  });
  return { kind: "ref", head, path, at, end: at };
}

/** Whether the name of a rule has no variables in it. */
function isGroundHead(head: Var | Ref): boolean {
  return head.kind === "var" || head.path.every((step) => isConstant(step.term));
}

/** Whether a term is written out in full: scalars, and collections of them. */
function isConstant(term: Term): boolean {
  switch (term.kind) {
    case "scalar":
      return true;
    case "array":
    case "set":
      return term.items.every(isConstant);
    case "object":
      return term.entries.every(([key, value]) => isConstant(key) && isConstant(value));
    case "template":
      return term.parts.every((part) => typeof part === "string");
    case "var":
    case "ref":
    case "call":
    case "comprehension":
      return false;
  }
}

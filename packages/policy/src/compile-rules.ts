/**
 * Compiles a rules file to a policy: closures behind an index by name, upstream and agent, so that a decision looks
 * only at rules that may concern it. The meaning of rules is decided here and nowhere else:
 *
 * - A matching deny wins over a matching step_up, that over a matching allow; nothing matches → deny.
 * - Within one effect the first rule of the file is named as the one that decided.
 * - A condition on an argument that is missing or of another type is unknown. Unknown permits nothing: it does not
 *   match in an allow rule, and does match in a deny or step_up rule.
 * - A condition on arguments of which none were read (a body that is passed on as a stream) is unknown, too, `absent`
 *   included.
 * - A label that an agent does not have is known to be absent, so a rule that asks for it does not match.
 * - What nobody presented a credential for is allowed only by a rule that writes `anonymous` out among its agents: a rule
 *   for whoever there is means agents. A deny or step_up rule needs no name to match.
 * - A rule that throws makes the whole answer an error, which denies.
 */
import { ANONYMOUS, type Reason } from "@writ/contract";
import type {
  ArgumentAssertion,
  Listable,
  ListableInput,
  PolicyInput,
  PolicyPort,
  PolicyProblem,
  PolicyResult,
} from "./policy-port.ts";
import { type Effect, type NamePattern, type Rule, type RuleTest, readRules } from "./rules-document.ts";
import { evaluateTime } from "./time-condition.ts";

export interface CompiledRules {
  readonly kind: "compiled";
  readonly policy: PolicyPort;
  /** As given: SHA-256 (hex) of the source. */
  readonly digest: string;
  readonly rules: readonly Rule[];
  readonly tests: readonly RuleTest[];
}

export type RulesCompilation =
  | CompiledRules
  | { readonly kind: "problems"; readonly problems: readonly PolicyProblem[] };

/** Compiles a rules file. `digest` is the SHA-256 (hex) of `source`; the caller computes it. Never throws. */
export function compileRules(source: string, options: { readonly digest: string }): RulesCompilation {
  const document = readRules(source);
  if (document.kind === "problems") return document;
  const { rules, tests } = document;
  return { kind: "compiled", policy: buildPolicy(rules, options.digest), digest: options.digest, rules, tests };
}

/** What one rule says to one input, for people who ask why. */
export interface RuleTrace {
  readonly ruleId: string;
  readonly effect: Effect;
  readonly outcome: "matches" | "does_not_match" | "outside_time" | "arguments_outside" | "arguments_unknown";
}

/** Every rule's own answer, in the order of the file; the decision is still `policy.decide`'s. */
export function traceRules(rules: readonly Rule[], input: PolicyInput): readonly RuleTrace[] {
  return rules.map((rule) => {
    const base = { ruleId: rule.id, effect: rule.effect };
    if (!matcherOf(rule)(input)) return { ...base, outcome: "does_not_match" };
    if (rule.time !== undefined && !evaluateTime(rule.time, input.context.timeMs).holds) {
      return { ...base, outcome: "outside_time" };
    }
    const args = evaluateArguments(rule, input.context);
    if (args === "fails") return { ...base, outcome: "arguments_outside" };
    return { ...base, outcome: args === "unknown" ? "arguments_unknown" : "matches" };
  });
}

type Matcher = (input: ListableInput) => boolean;

interface CompiledRule {
  readonly index: number;
  readonly rule: Rule;
  readonly matches: Matcher;
}

const NEVER_CHANGES = Number.MAX_SAFE_INTEGER;

function buildPolicy(rules: readonly Rule[], digest: string): PolicyPort {
  const denies = buildIndex(rules, "deny");
  const stepUps = buildIndex(rules, "step_up");
  const allows = buildIndex(rules, "allow");
  const decide = (input: PolicyInput, unknown: "denies" | "permits"): PolicyResult => {
    try {
      const bound = { untilMs: NEVER_CHANGES };
      return (
        firstMatch(denies, input, bound, "policy_denied", unknown) ??
        firstMatch(stepUps, input, bound, "step_up_unavailable", unknown) ??
        firstMatch(allows, input, bound, "policy_allow", unknown) ?? {
          kind: "deny",
          reason: "policy_default_deny",
          ruleId: "",
          obligations: [],
          validUntilMs: bound.untilMs,
        }
      );
    } catch (error) {
      // A failure of ours becomes an answer that denies: unknown means no.
      return { kind: "error", detail: error instanceof Error ? error.message : "a rule failed" };
    }
  };
  return {
    digest,
    decide: (input) => decide(input, "denies"),
    bounds(input) {
      const nothing = Object.create(null) as PolicyInput["context"]["arguments"]; // without members, and none is read
      const unseen: PolicyInput = {
        ...input,
        context: { ...input.context, arguments: nothing, argumentsUnseen: true },
      };
      return { least: decide(unseen, "denies"), most: decide(unseen, "permits") };
    },
    listable(input) {
      const bound = { untilMs: NEVER_CHANGES };
      const deny = firstListed(denies, input, bound);
      const stepUp = firstListed(stepUps, input, bound);
      const allow = firstListed(allows, input, bound);
      const kind: Listable["kind"] =
        deny === "whole" || (allow === "none" && stepUp === "none")
          ? "no"
          : deny === "by_arguments" || stepUp !== "none" || allow === "by_arguments"
            ? "perhaps"
            : "yes";
      return { kind, validUntilMs: bound.untilMs };
    },
    assertions(input) {
      const bound = { untilMs: NEVER_CHANGES };
      const all: ArgumentAssertion[] = [];
      const any: (readonly (readonly ArgumentAssertion[])[])[] = [];
      // A deny rule is passed by when one of its conditions surely goes the other way.
      for (const { args } of rulesInForce(denies, input, bound)) {
        const opposite = args.map((assertion) => ({ ...assertion, negated: !assertion.negated }));
        if (opposite.length === 1) all.push(...opposite);
        else if (opposite.length > 1) any.push(opposite.map((assertion) => [assertion]));
      }
      const allowing = rulesInForce(allows, input, bound).map(({ args }) => args);
      // What asks for more than the rules is not for the rules alone to say.
      const isAsked = rulesInForce(stepUps, input, bound).length > 0;
      if (!isAsked && allowing.every((args) => args.length > 0)) {
        if (allowing.length === 1) all.push(...allowing.flat());
        else if (allowing.length > 1) any.push(allowing);
      }
      return { all, any, validUntilMs: bound.untilMs };
    },
  };
}

/** The rules of `index` that concern the input now, whatever the arguments are. */
function rulesInForce(index: RuleIndex, input: ListableInput, bound: { untilMs: number }): readonly Rule[] {
  const rules: Rule[] = [];
  for (const bucket of index.buckets(input)) {
    for (const { rule, matches } of bucket ?? []) {
      if (!matches(input)) continue;
      if (rule.time !== undefined) {
        const time = evaluateTime(rule.time, input.context.timeMs);
        bound.untilMs = Math.min(bound.untilMs, time.untilMs);
        if (!time.holds) continue;
      }
      rules.push(rule);
    }
  }
  return rules;
}

/**
 * The first rule of the file in `index` that matches; `bound` learns until when that can be said. Only where a report
 * asks for the most that could be permitted does `unknown` permit.
 */
function firstMatch(
  index: RuleIndex,
  input: PolicyInput,
  bound: { untilMs: number },
  reason: Reason,
  unknown: "denies" | "permits",
): PolicyResult | undefined {
  let best: CompiledRule | undefined;
  let bestUntilMs = NEVER_CHANGES;
  for (const bucket of index.buckets(input)) {
    if (bucket === undefined) continue;
    for (const compiled of bucket) {
      // Buckets are in the order of the file.
      if (best !== undefined && compiled.index > best.index) break;
      if (!compiled.matches(input)) continue;
      const { rule } = compiled;
      let untilMs = NEVER_CHANGES;
      if (rule.time !== undefined) {
        const time = evaluateTime(rule.time, input.context.timeMs);
        untilMs = time.untilMs;
        if (!time.holds) {
          bound.untilMs = Math.min(bound.untilMs, untilMs);
          continue;
        }
      }
      const args = evaluateArguments(rule, input.context);
      if (args === "fails" || (args === "unknown" && (rule.effect === "allow") === (unknown === "denies"))) continue;
      best = compiled;
      bestUntilMs = untilMs;
    }
  }
  if (best === undefined) return undefined;
  return {
    kind: best.rule.effect,
    reason,
    ruleId: best.rule.id,
    obligations: [],
    validUntilMs: Math.min(bound.untilMs, bestUntilMs),
  };
}

/** Whether some rule of `index` matches whatever the arguments are, or for some arguments, or not at all. */
function firstListed(
  index: RuleIndex,
  input: ListableInput,
  bound: { untilMs: number },
): "whole" | "by_arguments" | "none" {
  let found: "by_arguments" | "none" = "none";
  for (const bucket of index.buckets(input)) {
    for (const { rule, matches } of bucket ?? []) {
      if (!matches(input)) continue;
      if (rule.time !== undefined) {
        const time = evaluateTime(rule.time, input.context.timeMs);
        bound.untilMs = Math.min(bound.untilMs, time.untilMs);
        if (!time.holds) continue;
      }
      if (rule.args.length === 0) return "whole";
      found = "by_arguments";
    }
  }
  return found;
}

function evaluateArguments(rule: Rule, context: PolicyInput["context"]): "holds" | "fails" | "unknown" {
  const args = context.arguments;
  if (context.argumentsUnseen === true && rule.args.length > 0) return "unknown";
  let outcome: "holds" | "unknown" = "holds";
  for (const { condition, negated } of rule.args) {
    const { kind } = condition.evaluate(args);
    if (kind === "unknown") outcome = "unknown";
    else if ((kind === "holds") === negated) return "fails";
  }
  return outcome;
}

// --- matching ---------------------------------------------------------------------------------------------------

function matcherOf({ match, effect }: Pick<Rule, "match" | "effect">): Matcher {
  const parts: Matcher[] = [];
  const { agents, principals, labels, actions, upstreams } = match;
  if (actions !== undefined) parts.push((input) => actions.has(input.action));
  for (const [kind, patterns] of [
    ["tool", match.tools],
    ["resource", match.resources],
    ["prompt", match.prompts],
  ] as const) {
    if (patterns === undefined) continue;
    parts.push(
      ({ resource }) =>
        resource.kind === kind && patterns.some((pattern) => pattern.matches(resource.upstream, resource.name)),
    );
  }
  const { methods, paths } = match;
  if (methods !== undefined || paths !== undefined) {
    parts.push(({ resource: { http } }) => {
      if (http === undefined) return false;
      return methods?.has(http.method) !== false && paths?.some((path) => path.matches(http.path)) !== false;
    });
  }
  if (upstreams !== undefined) parts.push((input) => anyName(upstreams, input.resource.upstream));
  if (agents !== undefined) parts.push((input) => anyName(agents, input.subject.agent.name));
  if (principals !== undefined) parts.push((input) => anyName(principals, input.subject.principal.name));
  for (const [name, values] of labels ?? []) {
    parts.push((input) => {
      const { labels: own } = input.subject.agent;
      const value = Object.hasOwn(own, name) ? own[name] : undefined;
      return value !== undefined && values.has(value);
    });
  }
  if (effect === "allow" && agents?.some(({ exact }) => exact === ANONYMOUS) !== true) {
    parts.push((input) => input.subject.agent.name !== ANONYMOUS);
  }
  return (input) => {
    for (const part of parts) if (!part(input)) return false;
    return true;
  };
}

function anyName(names: readonly NamePattern[], name: string): boolean {
  for (const pattern of names) if (pattern.matches(name)) return true;
  return false;
}

/** Rules of one effect, each in the buckets of the most selective thing that it writes out. */
interface RuleIndex {
  buckets(input: ListableInput): readonly (readonly CompiledRule[] | undefined)[];
}

const NO_BUCKETS: readonly [] = [];

function buildIndex(rules: readonly Rule[], effect: Effect): RuleIndex {
  const byName = new Map<string, CompiledRule[]>();
  const byUpstream = new Map<string, CompiledRule[]>();
  const byAgent = new Map<string, CompiledRule[]>();
  const byPrincipal = new Map<string, CompiledRule[]>();
  const others: CompiledRule[] = [];
  for (const [index, rule] of rules.entries()) {
    if (rule.effect !== effect) continue;
    const compiled = { index, rule, matches: matcherOf(rule) };
    const { upstreams, agents, principals } = rule.match;
    const named = rule.match.tools ?? rule.match.resources ?? rule.match.prompts;
    const choices: readonly (readonly [Map<string, CompiledRule[]>, readonly (string | undefined)[] | undefined])[] = [
      // Neither an upstream's name nor a pattern's first part contains a slash, so the joined text is unambiguous.
      [byName, named?.map(({ upstream, tool }) => (upstream && tool ? `${upstream}/${tool}` : undefined))],
      [byUpstream, named?.map(({ upstream }) => upstream)],
      [byUpstream, upstreams?.map(({ exact }) => exact)],
      [byAgent, agents?.map(({ exact }) => exact)],
      [byPrincipal, principals?.map(({ exact }) => exact)],
    ];
    const choice = choices.find(([, keys]) => keys?.every((key) => key !== undefined));
    if (choice === undefined) {
      others.push(compiled);
      continue;
    }
    for (const key of new Set(choice[1])) {
      if (key === undefined) continue;
      const bucket = choice[0].get(key);
      if (bucket === undefined) choice[0].set(key, [compiled]);
      else bucket.push(compiled);
    }
  }
  if (!rules.some((rule) => rule.effect === effect)) return { buckets: () => NO_BUCKETS };
  return {
    buckets({ resource, subject }) {
      return [
        byName.size === 0 ? undefined : byName.get(`${resource.upstream}/${resource.name}`),
        byUpstream.get(resource.upstream),
        byAgent.get(subject.agent.name),
        byPrincipal.get(subject.principal.name),
        others,
      ];
    },
  };
}

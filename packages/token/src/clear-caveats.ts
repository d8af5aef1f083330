/**
 * Clear: the semantic check that no caveat of a verified token prohibits an attempt. It can only prohibit: what it
 * clears has passed no policy, no revocation list and no budget. Synchronous, without I/O, and it never throws.
 *
 * The order of reasons is fixed. First what concerns the whole token (unreadable caveats, expiry, start, audience,
 * actions, networks), then which tool, then its arguments, or which request of an HTTP API: so a tool that is excluded is told apart from an unknown one only
 * by a token that is good in every other respect for that tool's upstream.
 */
import {
  type AccessRequest,
  type Action,
  type ArgumentCondition,
  isCharged,
  isWithinPrefix,
  type JsonObject,
  type Reason,
  type Resource,
  readPeerAddress,
} from "@writ/contract";
import type { CaveatMeaning } from "./parse-caveat.ts";
import type { NodeLimit, NodeRate, VerifiedToken } from "./verify-token.ts";

export interface ClearingAttempt {
  readonly request: AccessRequest;
  /** The audience that this gateway answers to. */
  readonly audience: string;
  readonly nowMs: number;
  /** For `token.attenuate`: how many nodes the child would have below the presenter's; 1 unless given. */
  readonly newNodes?: number;
}

export type Clearing =
  | {
      readonly kind: "cleared";
      /** The token's least expiry. */
      readonly validUntilMs: number;
      /** The limits that the attempt must fit; none for actions that use up nothing. */
      readonly limits: readonly NodeLimit[];
      /** How often the token may be used; every action counts. */
      readonly rates: readonly NodeRate[];
    }
  | {
      readonly kind: "prohibited";
      readonly reason: Reason;
      /** For the presenter; tells nothing that the token's own text does not. */
      readonly detail: string;
      /** True when the tool must be answered exactly like one that does not exist. */
      readonly hidden: boolean;
    };

/** Judges one attempt by every caveat of the token. Anything unknown, unreadable or failing prohibits. */
export function clearCaveats(token: VerifiedToken, attempt: ClearingAttempt): Clearing {
  try {
    return (
      clearWholeToken(token, attempt) ??
      clearTool(token, attempt.request) ??
      clearHttp(token, attempt.request) ??
      clearDepth(token, attempt) ?? {
        kind: "cleared",
        validUntilMs: token.expiresAtMs,
        limits: isCharged(attempt.request.action) ? token.limits : [],
        rates: token.rates,
      }
    );
  } catch {
    // A check that throws is a failure of ours; the attempt's answer is a denial all the same.
    return prohibited("caveat_failed", "a check of the token failed to run");
  }
}

/** Whether a catalogue shown to this token's holder has the tool: `hidden` when no call of it could be cleared. */
export function listsTool(token: VerifiedToken, upstream: string, tool: string): "listed" | "hidden" {
  const name = readToolName(upstream, tool);
  let listed: "listed" | "hidden" = "listed";
  for (const meaning of meanings(token)) {
    if (meaning.kind === "unknown" || meaning.kind === "malformed") listed = "hidden";
    else if (meaning.kind === "actions" && !meaning.actions.has("tool.call")) listed = "hidden";
    else if (excludesTool(meaning, name) !== undefined) listed = "hidden";
  }
  return listed;
}

/** Whether a list shown to this token's holder has anything that `action` would be attempted on. */
export function listsAction(token: VerifiedToken, action: Action): "listed" | "hidden" {
  for (const meaning of meanings(token)) {
    if (meaning.kind === "unknown" || meaning.kind === "malformed") return "hidden";
    if (meaning.kind === "actions" && !meaning.actions.has(action)) return "hidden";
  }
  return "listed";
}

/** The conditions of all segments on the arguments of this tool, for what its presenter is shown: each must hold. */
export function argumentConditions(token: VerifiedToken, upstream: string, tool: string): readonly ArgumentCondition[] {
  const conditions: ArgumentCondition[] = [];
  for (const meaning of meanings(token)) {
    if (meaning.kind !== "args") continue;
    for (const rule of meaning.rules) if (rule.pattern.matches(upstream, tool)) conditions.push(...rule.conditions);
  }
  return conditions;
}

/**
 * How many more nodes may be recorded below the presenter's; undefined when no `depth` caveat limits it. Less than 0
 * when a holder has already gone deeper offline, which `depth` does not prevent.
 */
export function remainingDepth(token: VerifiedToken): number | undefined {
  let least: number | undefined;
  const last = token.segments.length - 1;
  for (const [index, segment] of token.segments.entries()) {
    for (const { meaning } of segment.caveats) {
      if (meaning.kind !== "depth") continue;
      const remaining = meaning.depth - (last - index);
      least = least === undefined ? remaining : Math.min(least, remaining);
    }
  }
  return least;
}

/** Actions that reach an upstream by another door than its tools. */
const BESIDE_TOOLS: ReadonlySet<Action> = new Set(["http.request", "model.generate"]);

/**
 * Whether caveats in this order leave an action out by naming tools: a `tools` caveat says what may be used, so other doors
 * are closed unless the token named them before it. What stands behind it opens none, because any holder can append.
 */
export function isLeftOut(caveats: Iterable<CaveatMeaning>, action: Action): boolean {
  if (!BESIDE_TOOLS.has(action)) return false;
  for (const meaning of caveats) {
    if (meaning.kind === "tools") return true;
    if (meaning.kind === "actions" && meaning.actions.has(action)) return false;
    if (meaning.kind === "http" && action === "http.request") return false;
  }
  return false;
}

function* meanings(token: VerifiedToken): Generator<CaveatMeaning> {
  for (const segment of token.segments) for (const caveat of segment.caveats) yield caveat.meaning;
}

function prohibited(reason: Reason, detail: string, hidden = false): Clearing {
  return { kind: "prohibited", reason, detail, hidden };
}

function clearWholeToken(token: VerifiedToken, attempt: ClearingAttempt): Clearing | undefined {
  const { request, audience, nowMs } = attempt;
  let startsAtMs = 0;
  let audiences: "unnamed" | "fits" | "differs" = "unnamed";
  let actionPermitted = true;
  for (const segment of token.segments) {
    for (const { meaning } of segment.caveats) {
      switch (meaning.kind) {
        case "unknown":
          return prohibited("caveat_unknown", "the token holds a caveat of a kind that this gateway does not know");
        case "malformed":
          return prohibited("caveat_malformed", meaning.detail);
        case "nbf":
          startsAtMs = Math.max(startsAtMs, meaning.atMs);
          break;
        case "aud":
          if (!meaning.audiences.includes(audience)) audiences = "differs";
          else if (audiences === "unnamed") audiences = "fits";
          break;
        case "actions":
          if (!meaning.actions.has(request.action)) actionPermitted = false;
          break;
        default:
          break;
      }
    }
  }
  if (token.expiresAtMs === 0) return prohibited("caveat_malformed", "the token has no exp caveat");
  // Written so that a time which is not a number is late as well as early.
  if (!(nowMs < token.expiresAtMs)) return prohibited("token_expired", "the token has expired");
  if (!(nowMs >= startsAtMs)) return prohibited("token_not_yet", "the token is not valid yet");
  if (audiences === "unnamed") return prohibited("token_audience", "the token names no audience");
  if (audiences === "differs") return prohibited("token_audience", "the token is meant for another audience");
  if (!actionPermitted || isLeftOut(meanings(token), request.action))
    return prohibited("caveat_action", `the token does not permit ${request.action}`);
  return token.namesNetworks ? clearNetworks(token, request.context.address) : undefined;
}

/** Each `net` caveat must hold the address; one that nobody knows, or that cannot be read, is in no network. */
function clearNetworks(token: VerifiedToken, text: string | undefined): Clearing | undefined {
  const address = text === undefined ? undefined : readPeerAddress(text);
  if (address === undefined) return prohibited("caveat_net_unknown", "where the token is presented from is not known");
  for (const meaning of meanings(token)) {
    if (meaning.kind !== "net" || meaning.prefixes.some((prefix) => isWithinPrefix(prefix, address))) continue;
    return prohibited("caveat_net", "the token does not permit this network");
  }
  return undefined;
}

/** A tool's name as patterns of caveats see it. */
interface ToolName {
  readonly upstream: string;
  readonly name: string;
  /** Whether patterns can speak of it at all: never when it holds a "/", which the patterns of rules do reach. */
  readonly isReachable: boolean;
}

function readToolName(upstream: string, name: string): ToolName {
  const isReachable = upstream !== "" && name !== "" && !upstream.includes("/") && !name.includes("/");
  return { upstream, name, isReachable };
}

function clearTool(token: VerifiedToken, request: AccessRequest): Clearing | undefined {
  if (request.action !== "tool.call") return undefined;
  const tool = readToolName(request.resource.upstream, request.resource.name);
  for (const segment of token.segments) {
    for (const { meaning } of segment.caveats) {
      const reason = excludesTool(meaning, tool);
      if (reason !== undefined) return prohibited(reason, "the token does not permit this tool", true);
    }
  }
  for (const segment of token.segments) {
    for (const { meaning } of segment.caveats) {
      if (meaning.kind !== "args") continue;
      const detail = failedArgument(meaning, tool, request.context.arguments);
      if (detail !== undefined) return prohibited("caveat_args", detail);
    }
  }
  return undefined;
}

function clearHttp(token: VerifiedToken, { action, resource }: AccessRequest): Clearing | undefined {
  if (action !== "http.request") return undefined;
  for (const meaning of meanings(token)) {
    if (meaning.kind !== "http" || permitsHttp(meaning, resource)) continue;
    return prohibited("caveat_http", "the token does not permit this method and path of this upstream");
  }
  return undefined;
}

/** Whether one pattern of one of the upstream's members matches. */
function permitsHttp({ rules }: CaveatMeaning & { kind: "http" }, { upstream, http }: Resource): boolean {
  if (http === undefined) return false;
  const { method, path } = http;
  return rules.some((rule) => rule.matches(upstream) && rule.patterns.some((pattern) => pattern.matches(method, path)));
}

/** The reason for which a caveat excludes a tool, if it does. */
function excludesTool(meaning: CaveatMeaning, { upstream, name, isReachable }: ToolName): Reason | undefined {
  if (meaning.kind === "tools") {
    if (!isReachable) return "caveat_tool_not_listed";
    for (const pattern of meaning.patterns) if (pattern.matches(upstream, name)) return undefined;
    return "caveat_tool_not_listed";
  }
  if (meaning.kind === "not_tools") {
    // A name that no pattern can reach is not thereby safe from being excluded.
    if (!isReachable) return "caveat_tool_excluded";
    for (const pattern of meaning.patterns) if (pattern.matches(upstream, name)) return "caveat_tool_excluded";
  }
  return undefined;
}

function failedArgument(
  meaning: CaveatMeaning & { kind: "args" },
  { upstream, name, isReachable }: ToolName,
  args: JsonObject,
): string | undefined {
  if (!isReachable) return "args caveats cannot speak of a tool with such a name";
  for (const rule of meaning.rules) {
    if (!rule.pattern.matches(upstream, name)) continue;
    for (const condition of rule.conditions) {
      const outcome = condition.evaluate(args);
      if (outcome.kind === "holds") continue;
      const how = outcome.kind === "fails" ? "fails" : "cannot be judged by";
      return `the argument at "${condition.pointer}" ${how} ${outcome.operator}`;
    }
  }
  return undefined;
}

function clearDepth(token: VerifiedToken, attempt: ClearingAttempt): Clearing | undefined {
  if (attempt.request.action !== "token.attenuate") return undefined;
  const remaining = remainingDepth(token);
  if (remaining === undefined || (attempt.newNodes ?? 1) <= remaining) return undefined;
  return prohibited("caveat_depth", "the token may not be delegated any further");
}

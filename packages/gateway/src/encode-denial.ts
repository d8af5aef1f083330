/**
 * How much of a reason an agent may see, and in which words: the only code that decides it. Every reason of the
 * closed list has an entry here or falls under its area's; what is hidden is answered like what does not exist.
 * Sends nothing and records nothing.
 */
import { REASONS, type Reason } from "@writ/contract";
import type { Denial } from "./denial.ts";
import { makeProblem, type Problem } from "./server/problem.ts";

/** What kind of answer a reason gets over MCP. */
type Manner =
  /** HTTP status alone, with a challenge that says where to learn about the resource. */
  | "challenge"
  /** HTTP status alone. */
  | "http"
  /** A JSON-RPC error over the reason's HTTP status. */
  | "json_rpc_status"
  /** A JSON-RPC error over HTTP 200, with the reason, what to look up, and the call's id. */
  | "explained"
  /** As if there were no such tool, resource or prompt. */
  | "hidden_tool"
  /** As if there were no such upstream. */
  | "hidden_upstream";

const HIDDEN_TOOL: ReadonlySet<Reason> = new Set(["tool_unknown", "caveat_tool_not_listed", "caveat_tool_excluded"]);

/** Reasons that would tell a guesser which part of a credential was right. */
const SHOWN_AS: ReadonlyMap<Reason, Reason> = new Map([
  ["token_key_unknown", "token_signature"],
  ["token_unknown", "token_signature"],
]);

/** Under which what is hidden is answered, so that nothing may stand beside them that only one of the two has. */
const ANSWERED_AS_MISSING: ReadonlySet<Reason> = new Set(["tool_unknown", "named_unknown", "upstream_unknown"]);

/** Found before a public call is judged, too, and answered there as what does not exist. */
const PUBLIC_HIDDEN: ReadonlySet<Reason> = new Set(["upstream_unknown", "tenant_inactive"]);

const STATUS_AREAS = /^(?:rate|fault)_/;
const UNAVAILABLE = -32019;
/** What MCP 2026-07-28 says where a header disagrees with the body. */
const HEADER_MISMATCH = -32020;

function mannerOf(reason: Reason, hidden: boolean): Manner {
  if (reason === "upstream_unknown") return "hidden_upstream";
  if (hidden || HIDDEN_TOOL.has(reason)) return "hidden_tool";
  if (/^(?:token|agent|principal|tenant|point)_/.test(reason) || reason === "kill_engaged") return "challenge";
  const { jsonRpc } = REASONS[reason];
  if (jsonRpc === null) return "http";
  if (STATUS_AREAS.test(reason) || jsonRpc === UNAVAILABLE) return "json_rpc_status";
  return "explained";
}

/** Members that an agent may see beside the reason; anything else in a denial is for operators. */
const DATA_SHOWN = ["check", "remaining", "unit", "resetsAt", "retryAfterSeconds", "firstCallId"] as const;

/** Whose detail is about what the holder itself asked for, or has; nothing of rules is in it. */
const DETAIL_SHOWN: ReadonlySet<Reason> = new Set(["budget_carve", "token_expired"]);

export interface DenialContext {
  readonly callId: string | undefined;
  /** JSON text of the request's id; "null" where it could not be read. */
  readonly idText: string;
  /** The tool as the agent named it. */
  readonly tool: string;
  /** The resource or prompt as the agent named it, where the attempt is about one. */
  readonly named?: { readonly kind: "resource" | "prompt"; readonly name: string } | undefined;
  /** Whether the agent speaks MCP 2026-07-28, which has codes of its own for some faults. */
  readonly stateless?: boolean;
  /** Whether the endpoint leads to all upstreams: there an unknown one is an unknown name of something. */
  readonly all?: boolean;
  /** URL of the protected resource metadata (RFC 9728). */
  readonly resourceMetadataUrl: string;
}

/** The answer to a call that was denied, over MCP. */
export function encodeDenial(denial: Pick<Denial, "reason" | "hidden" | "data">, context: DenialContext): Problem {
  const reason = SHOWN_AS.get(denial.reason) ?? denial.reason;
  const { callId } = context;
  const headers: Record<string, string> = callId === undefined ? {} : { "writ-call-id": callId };
  const manner = mannerOf(reason, denial.hidden);
  const isName = context.tool !== "" || context.named !== undefined;
  switch (context.all === true && isName && manner === "hidden_upstream" ? "hidden_tool" : manner) {
    case "hidden_tool":
      if (context.named !== undefined)
        return jsonRpcError(200, "named_unknown", headers, context.idText, unknown(context.named, context));
      if (context.tool === "") return makeProblem("upstream_unknown", { headers, callId });
      return jsonRpcError(200, "tool_unknown", headers, context.idText, {
        code: REASONS.tool_unknown.jsonRpc,
        message: `Unknown tool: ${context.tool}`,
      });
    case "hidden_upstream":
      return makeProblem("upstream_unknown", { headers, callId });
    case "challenge":
      return makeProblem(reason, { headers: { ...headers, "www-authenticate": challenge(reason, context) }, callId });
    case "http":
      return makeProblem(reason, { headers: { ...headers, ...retryAfter(reason, denial.data) }, callId });
    case "json_rpc_status":
      return explained(
        REASONS[reason].http,
        { ...headers, ...retryAfter(reason, denial.data) },
        reason,
        denial,
        context,
      );
    case "explained":
      return explained(200, headers, reason, denial, context);
  }
}

/** How servers speak of a resource or prompt that does not exist. */
function unknown(
  { kind, name }: { readonly kind: "resource" | "prompt"; readonly name: string },
  { stateless }: Pick<DenialContext, "stateless">,
): Readonly<Record<string, unknown>> {
  if (kind === "prompt") return { code: -32602, message: `Unknown prompt: ${name}` };
  return { code: stateless === true ? -32602 : -32002, message: "Resource not found", data: { uri: name } };
}

/** The answer to a call that was denied, over plain HTTP. */
export function encodeHttpDenial(
  denial: Pick<Denial, "reason" | "detail" | "data">,
  context: Pick<DenialContext, "callId" | "resourceMetadataUrl">,
): Problem {
  const reason = SHOWN_AS.get(denial.reason) ?? denial.reason;
  const { callId } = context;
  const data: Record<string, unknown> = { help: help(reason) };
  for (const name of DATA_SHOWN) if (denial.data[name] !== undefined) data[name] = denial.data[name];
  if (DETAIL_SHOWN.has(reason) && denial.detail !== "") data["detail"] = denial.detail;
  const challenged = mannerOf(reason, false) === "challenge";
  const headers: Record<string, string> = {
    ...(callId === undefined ? {} : { "writ-call-id": callId }),
    ...(challenged ? { "www-authenticate": `Bearer resource_metadata="${context.resourceMetadataUrl}"` } : {}),
    ...retryAfter(reason, denial.data),
  };
  return makeProblem(reason, { headers, callId, data });
}

/** The answer to a request without a credential that was denied: nothing here is behind a token that one could get. */
export function encodePublicDenial(
  denial: Pick<Denial, "reason" | "detail" | "hidden" | "data">,
  callId: string | undefined,
): Problem {
  // Like what does not exist, and that has no call.
  if (denial.hidden || PUBLIC_HIDDEN.has(denial.reason)) return makeProblem("upstream_unknown");
  const { headers, ...problem } = encodeHttpDenial(denial, { callId, resourceMetadataUrl: "" });
  const { "www-authenticate": _, ...others } = headers;
  return { ...problem, headers: others };
}

export interface DecisionContext extends Pick<DenialContext, "callId" | "named" | "resourceMetadataUrl"> {
  /** The tool that was asked about; "" where the question is about none. */
  readonly tool: string;
}

/** What somebody who asked for a decision is told of a denial. */
export type DecisionDenial =
  /** A decision, and a no. */
  | { readonly kind: "decided"; readonly reason: Reason; readonly context: Readonly<Record<string, unknown>> }
  /** There is no decision: the credential, a rate or something of ours stands in its way. */
  | { readonly kind: "undecided"; readonly reason: Reason; readonly problem: Problem };

/**
 * The answer to a question whose answer is no: the same reason that the call itself would have been given. The reason
 * is AuthZEN's Reason Object (Authorization API 1.0, "Reasons"), with nothing in it for administrators alone.
 */
export function encodeDecisionDenial(
  denial: Pick<Denial, "reason" | "detail" | "hidden" | "data">,
  context: DecisionContext,
): DecisionDenial {
  const shown = SHOWN_AS.get(denial.reason) ?? denial.reason;
  const { http } = REASONS[shown];
  if (http === 401 || http === 429 || http >= 500)
    return { kind: "undecided", reason: shown, problem: encodeHttpDenial(denial, context) };
  const reason = shownAs(shown, denial.hidden, context);
  const told: Record<string, unknown> = { id: reason, reason_user: { en: REASONS[reason].sentence } };
  if (context.callId !== undefined) told["callId"] = context.callId;
  // What does not exist was not checked for anything, and what is hidden was checked for no more than that.
  if (!ANSWERED_AS_MISSING.has(reason))
    for (const name of DATA_SHOWN) if (denial.data[name] !== undefined) told[name] = denial.data[name];
  told["help"] = help(reason);
  return { kind: "decided", reason, context: told };
}

/** The reason under which what is hidden is answered, which is that of what does not exist. */
function shownAs(reason: Reason, hidden: boolean, { tool, named }: DecisionContext): Reason {
  switch (mannerOf(reason, hidden)) {
    case "hidden_tool":
      if (named !== undefined) return "named_unknown";
      return tool === "" ? "upstream_unknown" : "tool_unknown";
    case "hidden_upstream":
      return "upstream_unknown";
    default:
      return reason;
  }
}

/** The answer to a call that was allowed and then broke, as the JSON text of the value of `error`. */
export function encodeBroken(reason: Reason, callId: string): string {
  return JSON.stringify({
    code: REASONS[reason].jsonRpc ?? UNAVAILABLE,
    message: REASONS[reason].sentence,
    data: { reason, callId, help: help(reason) },
  });
}

function explained(
  status: number,
  headers: Readonly<Record<string, string>>,
  reason: Reason,
  denial: Pick<Denial, "data">,
  context: DenialContext,
): Problem {
  const data: Record<string, unknown> = { reason };
  for (const name of DATA_SHOWN) if (denial.data[name] !== undefined) data[name] = denial.data[name];
  if (data["retryAfterSeconds"] !== undefined) data["retryAfterSeconds"] = seconds(data["retryAfterSeconds"]);
  if (context.callId !== undefined) data["callId"] = context.callId;
  data["help"] = help(reason);
  const isMismatch = reason === "fault_header" && context.stateless === true;
  return jsonRpcError(status, reason, headers, context.idText, {
    code: isMismatch ? HEADER_MISMATCH : REASONS[reason].jsonRpc,
    message: REASONS[reason].sentence,
    data,
  });
}

/** What an upstream says is never under this header, whatever code and data it makes up. */
function jsonRpcError(
  status: number,
  reason: Reason,
  headers: Readonly<Record<string, string>>,
  idText: string,
  error: Readonly<Record<string, unknown>>,
): Problem {
  return {
    status,
    headers: { "content-type": "application/json", "writ-reason": reason, ...headers },
    body: `{"jsonrpc":"2.0","id":${idText},"error":${JSON.stringify(error)}}`,
  };
}

function challenge(reason: Reason, context: DenialContext): string {
  // RFC 6750 section 3: no error code when the request carried no credential at all.
  const error = reason.startsWith("token_") && reason !== "token_missing" ? 'error="invalid_token", ' : "";
  return `Bearer ${error}resource_metadata="${context.resourceMetadataUrl}"`;
}

function retryAfter(reason: Reason, data: Readonly<Record<string, unknown>>): Record<string, string> {
  const { http } = REASONS[reason];
  if (http !== 429 && http !== 503) return {};
  return { "retry-after": String(seconds(data["retryAfterSeconds"])) };
}

function seconds(value: unknown): number {
  return typeof value === "number" && value > 1 ? Math.ceil(value) : 1;
}

/** Where the reference page speaks of the reason. */
function help(reason: Reason): string {
  return `docs/reference/reasons.md#${reason}`;
}

/**
 * Explains one call stage by stage: the gateway's own decision path on a state built now. Commits nothing, reserves
 * nothing and is no evidence. The token is read from the body and kept nowhere.
 */
import { type JsonObject, parseStrictJsonText, REASONS, type Reason } from "@writ/contract";
import type { ExplainAnswer, ExplainRequest, ExplainStage } from "@writ/contract/admin";
import { describe, explain, type TenantState } from "@writ/core";
import { decodeToken, type VerifiedToken, verifyToken } from "@writ/token";
import { tokenHash } from "../commands/mint-token.ts";
import { openRootKey } from "../commands/root-key-material.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { buildTenantState } from "./build-tenant-state.ts";

export async function explainCall(
  context: ControlContext,
  tenantId: string,
  input: ExplainRequest,
): Promise<ExplainAnswer> {
  const state = await buildTenantState(context, tenantId);
  const checked = checkToken(context, state, input.token);
  if (checked.kind === "denied") {
    return {
      decision: "deny",
      reasons: [checked.reason],
      detail: REASONS[checked.reason].sentence,
      revision: state.revision,
      policyDigest: "",
      stages: [{ stage: "verify", status: "denied", reason: checked.reason, detail: checked.detail }],
    };
  }
  const nowMs = context.clock.nowMs();
  const { token } = checked;
  const request = describe(state, {
    token,
    action: input.action ?? "tool.call",
    upstream: input.upstream,
    tool: input.tool ?? "",
    arguments: readArguments(input.argumentsText ?? "{}"),
    address: input.address,
    callId: makeId(context),
    protocol: "mcp",
    nowMs,
  });
  const { judgement, stages } = explain(state, { token, request, audience: context.audience, nowMs });
  const { decision } = judgement;
  const verified: ExplainStage = { stage: "verify", status: "passed", detail: `signed with root key ${token.keyId}` };
  return {
    decision: decision.kind,
    reasons: decision.reasons,
    detail: decision.kind === "allow" ? "" : decision.detail,
    revision: decision.revision,
    policyDigest: decision.policyDigest,
    stages: [
      verified,
      ...stages.map(({ check, outcome, detail }): ExplainStage => {
        const reason = decision.reasons[0];
        return {
          stage: check,
          status: outcome === "not_reached" ? "skipped" : outcome,
          ...(outcome === "denied" && reason !== undefined ? { reason } : {}),
          detail,
        };
      }),
    ],
  };
}

type TokenOutcome =
  | { readonly kind: "verified"; readonly token: VerifiedToken }
  | { readonly kind: "denied"; readonly reason: Reason; readonly detail: string };

function checkToken(context: ControlContext, state: TenantState, text: string): TokenOutcome {
  const decoding = decodeToken(text);
  if (decoding.kind === "malformed") return { kind: "denied", reason: "token_malformed", detail: decoding.detail };
  const { token } = decoding;
  const keyId = token.unverifiedKeyId;
  const key = token.unverifiedTenantId === state.tenantId ? state.get("root_key", keyId) : undefined;
  if (key === undefined || key.status === "retired") {
    return { kind: "denied", reason: "token_key_unknown", detail: "this tenant has no such root key in use" };
  }
  const check = verifyToken(tokenHash, openRootKey(context, state.tenantId, keyId, key), token);
  if (check.kind === "rejected") {
    return { kind: "denied", reason: check.reason, detail: "the signature is not that of the root key it names" };
  }
  return check;
}

/** Problem `fault_request` for what a gateway would call a fault. */
function readArguments(text: string): JsonObject {
  const read = parseStrictJsonText(text);
  if (read.kind === "fault") throw new Problem("fault_request", `argumentsText: ${read.detail}`);
  const { value } = read;
  if (typeof value !== "object" || value === null || Array.isArray(value) || !isObject(value)) {
    throw new Problem("fault_request", "argumentsText must be a JSON object");
  }
  return value;
}

/** The strict reader makes null-prototype objects and nothing else does. */
function isObject(value: object): value is JsonObject {
  return Object.getPrototypeOf(value) === null;
}

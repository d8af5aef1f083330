/**
 * Every reason Writ gives, in one list: code, sentence, HTTP status and JSON-RPC code. Codes are snake_case, area
 * first, and never change their meaning. The reference page docs/reference/reasons.md is generated from this file.
 * `jsonRpc: null` means that the transport answers with the HTTP status alone.
 */
export const REASONS = {
  // Faults: input we could not read.
  fault_json: { http: 400, jsonRpc: -32700, sentence: "The body is not JSON that has exactly one reading." },
  fault_request: { http: 400, jsonRpc: -32600, sentence: "The message is not a valid request of this protocol." },
  fault_params: {
    http: 400,
    jsonRpc: -32602,
    sentence: "The parameters of the request are missing or of the wrong shape.",
  },
  fault_method: { http: 404, jsonRpc: -32601, sentence: "This method is not supported here." },
  fault_header: { http: 400, jsonRpc: -32600, sentence: "A header is missing, malformed or disagrees with the body." },
  fault_target: {
    http: 400,
    jsonRpc: -32600,
    sentence: "The method or the address of the request can be read in more than one way, or is not passed on.",
  },
  fault_upgrade: {
    http: 501,
    jsonRpc: null,
    sentence: "WebSocket and other upgrades are not passed on: what goes over them could not be judged.",
  },
  fault_media_type: {
    http: 415,
    jsonRpc: null,
    sentence: "The media type of the request or of its answer is not supported.",
  },
  fault_too_large: { http: 413, jsonRpc: null, sentence: "The request is larger than this listener accepts." },
  fault_session: { http: 404, jsonRpc: null, sentence: "There is no such MCP session; initialize a new one." },
  fault_event_id: {
    http: 400,
    jsonRpc: null,
    sentence:
      "No stream of this session can be taken up after this event: it was read to its end, was cut, waited for too long or said more than is kept. Whether a call ran can be learnt by making it again under its idempotency key.",
  },
  fault_timeout: { http: 408, jsonRpc: null, sentence: "The request did not arrive in time." },
  fault_origin: {
    http: 403,
    jsonRpc: null,
    sentence: "The Host or Origin of the request is not one that this listener serves.",
  },
  // Tokens, agents, kill switch.
  token_missing: { http: 401, jsonRpc: null, sentence: "The request carries no bearer token." },
  token_malformed: { http: 401, jsonRpc: null, sentence: "The token is not a capability token in its one spelling." },
  token_key_unknown: {
    http: 401,
    jsonRpc: null,
    sentence: "The token names a root key that does not exist or is retired.",
  },
  token_signature: { http: 401, jsonRpc: null, sentence: "The signature of the token does not verify." },
  token_unknown: {
    http: 401,
    jsonRpc: null,
    sentence: "The token verifies, but no such root token was recorded as minted.",
  },
  token_expired: { http: 401, jsonRpc: null, sentence: "The token has expired." },
  token_not_yet: { http: 401, jsonRpc: null, sentence: "The token is not valid yet." },
  token_audience: {
    http: 401,
    jsonRpc: null,
    sentence: "The token is meant for another gateway, or names no audience.",
  },
  token_revoked: { http: 401, jsonRpc: null, sentence: "The token, or one that it descends from, was revoked." },
  agent_inactive: { http: 403, jsonRpc: null, sentence: "The agent is suspended or does not exist." },
  principal_inactive: { http: 403, jsonRpc: null, sentence: "The principal is suspended or does not exist." },
  tenant_inactive: { http: 403, jsonRpc: null, sentence: "The tenant is suspended." },
  kill_engaged: { http: 403, jsonRpc: null, sentence: "A kill switch that covers this call is engaged." },
  // Enforcement points: whoever asks on behalf of others, and may only ask so much.
  point_key_invalid: {
    http: 401,
    jsonRpc: null,
    sentence: "The enforcement point's key is not known, has expired or was revoked.",
  },
  point_question: {
    http: 403,
    jsonRpc: null,
    sentence: "The enforcement point may not ask about this action or upstream.",
  },
  // Hidden or unknown tools and upstreams: one answer for both.
  tool_unknown: { http: 404, jsonRpc: -32602, sentence: "Unknown tool." },
  named_unknown: { http: 404, jsonRpc: -32602, sentence: "There is no such resource or prompt." },
  upstream_unknown: { http: 404, jsonRpc: null, sentence: "There is no such upstream." },
  route_unknown: { http: 404, jsonRpc: null, sentence: "No route of the upstream takes this method and path." },
  route_not_public: { http: 404, jsonRpc: null, sentence: "Only a route that is public takes calls without a token." },
  route_parameter: {
    http: 403,
    jsonRpc: -32014,
    sentence: "The query sets a parameter by which the upstream gets its credential.",
  },
  route_denied: { http: 403, jsonRpc: -32014, sentence: "A route of the upstream refuses this method and path." },
  tool_quarantined: { http: 403, jsonRpc: -32013, sentence: "The tool's definition changed and awaits approval." },
  upstream_quarantined: {
    http: 403,
    jsonRpc: -32013,
    sentence: "The upstream's instructions changed and await approval.",
  },
  // Caveats.
  caveat_unknown: { http: 403, jsonRpc: -32010, sentence: "The token holds a caveat that this gateway does not know." },
  caveat_malformed: { http: 403, jsonRpc: -32010, sentence: "The token holds a caveat that cannot be read." },
  caveat_action: { http: 403, jsonRpc: -32010, sentence: "The token does not permit this action." },
  caveat_tool_not_listed: { http: 404, jsonRpc: -32602, sentence: "The token does not permit this tool." },
  caveat_tool_excluded: { http: 404, jsonRpc: -32602, sentence: "The token excludes this tool." },
  caveat_args: { http: 403, jsonRpc: -32010, sentence: "An argument is outside what the token permits." },
  caveat_http: { http: 403, jsonRpc: -32010, sentence: "The token does not permit this method and path." },
  caveat_net: { http: 403, jsonRpc: -32010, sentence: "The token may not be presented from this address." },
  caveat_net_unknown: {
    http: 403,
    jsonRpc: -32010,
    sentence: "The token is bound to networks, and the address that it is presented from is not known.",
  },
  caveat_depth: { http: 403, jsonRpc: -32010, sentence: "The token may not be delegated any further." },
  caveat_failed: { http: 403, jsonRpc: -32010, sentence: "A check of the token failed to run." },
  // Requests and policy.
  access_incomplete: {
    http: 403,
    jsonRpc: -32014,
    sentence: "The access request lacks a fact that the decision needs.",
  },
  access_subject: { http: 403, jsonRpc: -32014, sentence: "The credential does not speak for this subject." },
  access_input_unasked: {
    http: 403,
    jsonRpc: -32014,
    sentence:
      "The request carries answers for its upstream that were not asked for through this gateway, or too long ago.",
  },
  policy_allow: { http: 200, jsonRpc: null, sentence: "A rule allows the call and none denies it." },
  policy_observed: {
    http: 200,
    jsonRpc: null,
    sentence: "The policy would not allow the call; it passes because its upstream is under observation.",
  },
  policy_denied: { http: 403, jsonRpc: -32014, sentence: "A rule denies the call." },
  policy_default_deny: { http: 403, jsonRpc: -32014, sentence: "No rule allows the call." },
  policy_missing: { http: 403, jsonRpc: -32014, sentence: "The tenant has no active policy, so nothing is allowed." },
  policy_error: { http: 403, jsonRpc: -32014, sentence: "The policy failed to evaluate, so the call is denied." },
  obligation_unknown: {
    http: 403,
    jsonRpc: -32015,
    sentence: "The policy demands an obligation that this gateway cannot carry out.",
  },
  step_up_unavailable: {
    http: 403,
    jsonRpc: -32018,
    sentence: "The call needs an approval, and approvals are not available.",
  },
  // Budgets.
  budget_exhausted: { http: 402, jsonRpc: -32016, sentence: "A budget that covers this call is spent." },
  budget_carve: {
    http: 402,
    jsonRpc: -32016,
    sentence: "That budget cannot be set aside: the parent has too little of it left, or none that may be divided.",
  },
  budget_nodes: {
    http: 402,
    jsonRpc: -32016,
    sentence: "The root token has too many nodes with budgets of their own.",
  },
  // Rates.
  rate_address: { http: 429, jsonRpc: null, sentence: "Too many requests come from this address." },
  rate_agent: { http: 429, jsonRpc: -32017, sentence: "The agent attempts more than its rate permits." },
  rate_tenant: { http: 429, jsonRpc: -32017, sentence: "The tenant attempts more than its rate permits." },
  rate_endpoint: {
    http: 429,
    jsonRpc: -32017,
    sentence: "More is attempted on this upstream than its rate permits.",
  },
  rate_token: { http: 429, jsonRpc: -32017, sentence: "The token is used more often than its caveats permit." },
  rate_denials: { http: 429, jsonRpc: -32017, sentence: "Too many denials for this token; later ones are summarised." },
  rate_attenuations: {
    http: 429,
    jsonRpc: -32017,
    sentence: "Too many delegations are being recorded for this token.",
  },
  rate_lookups: {
    http: 429,
    jsonRpc: -32017,
    sentence: "The budgets of this token are asked about too often; ask again in a second.",
  },
  // Unavailable.
  journal_unavailable: {
    http: 503,
    jsonRpc: -32019,
    sentence: "The decision could not be put on record, so the call was not made.",
  },
  state_unavailable: { http: 503, jsonRpc: -32019, sentence: "The gateway has no current state of authority." },
  state_stale: {
    http: 503,
    jsonRpc: -32019,
    sentence: "Authority kept changing while the call was decided; try again.",
  },
  decision_expired: {
    http: 503,
    jsonRpc: -32019,
    sentence: "Something the decision relied on expired before it could be committed.",
  },
  head_regressed: {
    http: 503,
    jsonRpc: -32019,
    sentence: "The database is older than what this gateway has seen; an administrator must open a new epoch.",
  },
  upstream_unavailable: { http: 503, jsonRpc: -32019, sentence: "The upstream has no free slot or does not answer." },
  upstream_address_refused: {
    http: 502,
    jsonRpc: -32019,
    sentence: "The upstream has an address that this gateway does not connect to, unless its operator lists it.",
  },
  upstream_failed: { http: 502, jsonRpc: -32019, sentence: "The upstream failed after the call was sent." },
  upstream_input_refused: {
    http: 403,
    jsonRpc: -32014,
    sentence: "The upstream asked for input that the agent may not be asked for.",
  },
  gateway_draining: { http: 503, jsonRpc: -32019, sentence: "The gateway is stopping; try again at another one." },
  gateway_overloaded: {
    http: 503,
    jsonRpc: -32019,
    sentence: "The gateway holds as many requests as it can; try again in a moment.",
  },
  internal_error: { http: 500, jsonRpc: -32019, sentence: "The gateway failed; the call was not allowed." },
  // Duplicates.
  duplicate_in_flight: {
    http: 409,
    jsonRpc: -32009,
    sentence: "A request with this id is already in flight in this session.",
  },
  duplicate_key: {
    http: 409,
    jsonRpc: -32009,
    sentence: "Another call was allowed under this idempotency key; it was not made again.",
  },
  // An allow of its own.
  attenuation_recorded: { http: 200, jsonRpc: null, sentence: "The child token is on record." },
} as const satisfies Record<string, ReasonEntry>;

export interface ReasonEntry {
  readonly http: number;
  readonly jsonRpc: number | null;
  readonly sentence: string;
}

export type Reason = keyof typeof REASONS;

export function isReason(value: unknown): value is Reason {
  return typeof value === "string" && Object.hasOwn(REASONS, value);
}

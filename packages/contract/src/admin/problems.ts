/** Errors of the admin API: problem+json (RFC 9457) with a code of this closed list. */
export const ADMIN_PROBLEMS = {
  fault_json: { http: 400, title: "The body is not JSON." },
  fault_request: { http: 400, title: "The request is not of the shape that this route takes." },
  fault_media_type: { http: 415, title: "The media type of the request is not supported." },
  fault_too_large: { http: 413, title: "The request is larger than this listener accepts." },
  admin_key_missing: { http: 401, title: "The request carries no admin key." },
  admin_key_invalid: { http: 401, title: "The admin key is not known, has expired or was revoked." },
  permission_missing: { http: 403, title: "The admin key lacks the permission that this route needs." },
  not_found: { http: 404, title: "There is no such object." },
  route_unknown: { http: 404, title: "There is no such route." },
  version_conflict: { http: 409, title: "The object has changed since it was read." },
  name_taken: { http: 409, title: "Another object of this kind has that name." },
  state_conflict: { http: 409, title: "The object is not in a state that permits this." },
  call_unsettled: { http: 409, title: "The outcome of the call is not on record yet." },
  policy_invalid: { http: 422, title: "The rules file does not compile." },
  policy_tests_failed: { http: 422, title: "The tests of the rules file fail." },
  caveat_unenforceable: { http: 422, title: "A caveat cannot be enforced, so it is not minted." },
  lifetime_exceeded: { http: 422, title: "The token would live longer than the tenant permits." },
  expiry_past: { http: 422, title: "The token would have expired before it is minted." },
  reference_unknown: { http: 422, title: "Something that the request names does not exist." },
  catalogue_unseen: { http: 504, title: "No gateway has reported the upstream's catalogue in time." },
  log_damaged: { http: 409, title: "The log does not verify." },
  database_unavailable: { http: 503, title: "The database does not answer." },
  draining: { http: 503, title: "The control plane is stopping." },
  internal_error: { http: 500, title: "The control plane failed." },
} as const satisfies Record<string, { readonly http: number; readonly title: string }>;

export type AdminProblemCode = keyof typeof ADMIN_PROBLEMS;

/** The body of every error answer. Members beyond these depend on the code and are listed beside it. */
export interface AdminProblem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: AdminProblemCode;
  readonly detail: string;
  readonly requestId: string;
  /** version_conflict: what the caller named, and what is stored. */
  readonly expectedVersion?: number | string | null;
  readonly actualVersion?: number | string | null;
  /** policy_invalid. */
  readonly problems?: readonly { readonly line: number; readonly column: number; readonly message: string }[];
  /** policy_tests_failed. */
  readonly tests?: readonly { readonly name: string; readonly passed: boolean; readonly message: string }[];
}

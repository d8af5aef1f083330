/** Answers in problem+json (RFC 9457): what a peer is told when HTTP, not a protocol above it, says no. */
import { REASONS, type Reason } from "@writ/contract";

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ProblemOptions {
  /** In place of the reason's own. */
  readonly status?: number;
  readonly callId?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members. */
  readonly data?: Readonly<Record<string, unknown>>;
}

export function makeProblem(reason: Reason, options: ProblemOptions = {}): Problem {
  const { http, sentence } = REASONS[reason];
  const status = options.status ?? http;
  return {
    status,
    headers: { "content-type": "application/problem+json", "writ-reason": reason, ...options.headers },
    body: JSON.stringify({
      type: `urn:writ:reason:${reason}`,
      title: sentence,
      status,
      reason,
      ...(options.callId === undefined ? {} : { callId: options.callId }),
      ...options.data,
    }),
  };
}

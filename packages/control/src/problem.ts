/** A refusal of the control plane as an exception: thrown by commands and queries, turned into an answer at the edge only. */
import { ADMIN_PROBLEMS, type AdminProblem, type AdminProblemCode } from "@writ/contract/admin";

type Extra = Pick<Partial<AdminProblem>, "expectedVersion" | "actualVersion" | "problems" | "tests">;

export class Problem extends Error {
  readonly code: AdminProblemCode;
  readonly extra: Extra;
  /** `detail` is shown to the caller: it holds no secret and nothing of another tenant. */
  constructor(code: AdminProblemCode, detail: string, extra: Extra = {}, options?: { cause?: unknown }) {
    super(detail, options);
    this.name = "Problem";
    this.code = code;
    this.extra = extra;
  }

  get status(): number {
    return ADMIN_PROBLEMS[this.code].http;
  }
}

/** The one answer for what does not exist and for what belongs to somebody else. */
export function notFound(): Problem {
  return new Problem("not_found", "There is no such object, or this key does not reach it.");
}

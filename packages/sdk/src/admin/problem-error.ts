/** An error answer of the admin API as an exception. Anything that is no problem document becomes one that says so. */
import type { AdminProblem, AdminProblemCode } from "@writ/contract/admin";

export class ProblemError extends Error {
  readonly status: number;
  readonly code: AdminProblemCode | "no_problem_document";
  readonly detail: string;
  /** The whole document; members beyond the common ones depend on the code. */
  readonly problem: Partial<AdminProblem>;

  constructor(status: number, problem: Partial<AdminProblem>) {
    const code = problem.code ?? "no_problem_document";
    const detail = problem.detail ?? problem.title ?? `the server answered ${status} without saying why`;
    super(`${code}: ${detail}`);
    this.name = "ProblemError";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.problem = problem;
  }

  /** Reads at most 64 KiB of the answer. */
  static async from(response: Response): Promise<ProblemError> {
    const text = (await response.text().catch(() => "")).slice(0, 65_536); // a cut answer is one without a document
    try {
      const value: unknown = JSON.parse(text);
      // Members are only read for display and comparison, so a foreign document can do no more than look odd.
      if (typeof value === "object" && value !== null)
        return new ProblemError(response.status, value as Partial<AdminProblem>);
    } catch {
      // Not JSON: a proxy's page, perhaps. Said below.
    }
    return new ProblemError(response.status, {});
  }
}

/** What a check is: a named judgement over a repository at `root`, with what it found wrong as text for people. */
export interface Check {
  readonly name: string;
  /** Judges the repository at `root`. Rejects only when the check itself is broken. */
  run(root: string): Promise<CheckOutcome>;
}

export type CheckOutcome =
  | { readonly kind: "passed"; readonly seen: string }
  | { readonly kind: "failed"; readonly findings: string };

/** No check takes longer than this on two busy cores; one that does is stopped and has failed. */
export const CHECK_TIMEOUT_MS = 120_000;

/**
 * Whether an upstream is tried at all.
 *
 *   closed ── so many failures in a row ──▶ open ── its wait is over ──▶ half-open ── the probe fails ──▶ open, longer
 *      ▲                                                                     │
 *      └───────────────────── anything that the upstream answers ◀──────────┘
 *
 * Failures of which all are one agent's calls open nothing while others use the upstream: what an agent asks for decides
 * how long its calls take and what they do to their session, and it must not be able to shut others out.
 *
 * The probe is a session that the gateway opens for itself to be sure, and no agent's call: a call that is slow by
 * nature would hold all others up. What counts as a failure is its caller's business, and who waits for it.
 */
import type { Clock, Random } from "../ports.ts";
import type { UpstreamLimits } from "./limits.ts";

export interface Breaker {
  /** Milliseconds until a try makes sense; undefined when it does now. */
  waitMs(): number | undefined;
  /** On the monotonic clock: when it may be tried, or could have been, since it opened. Undefined while it is closed. */
  notBeforeMs(): number | undefined;
  /**
   * The caller is about to open a session, having asked `waitMs` since it waited last. `probe`: nobody else does until
   * `succeeded`, `failed` or `withdraw`.
   */
  begin(): "try" | "probe";
  /** The probe was not made after all. */
  withdraw(): void;
  /** The upstream answered. */
  succeeded(): void;
  failed(of: FailureOf): void;
}

/** Of the upstream itself (it opened no session), or of an agent's call. `isAlone`: nobody else has used it lately. */
export type FailureOf = "upstream" | { readonly agentKey: string; readonly isAlone: boolean };

export interface BreakerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Pick<UpstreamLimits, "breakerFailures" | "backoffFirstMs" | "backoffLastMs" | "openTimeoutMs">;
  /** Each time that it opens (again) or closes. */
  readonly onChange: (state: "open" | "closed", failures: number) => void;
}

export function createBreaker(options: BreakerOptions): Breaker {
  const { clock, random, limits } = options;
  let state: "closed" | "open" | "half-open" = "closed";
  /** In a row, since the last answer. */
  let failures = 0;
  /** Whose they all are, since the last answer; undefined when they are of several, or of the upstream. */
  let onlyBy: string | undefined;
  /** How often it opened without closing. */
  let opened = 0;
  let notBeforeMs = 0;

  function open(): void {
    const wait = Math.min(limits.backoffLastMs, limits.backoffFirstMs * 2 ** Math.min(opened, 20));
    // Between half and all of it, so that several gateways do not knock at the same time.
    const share = ((random.bytes(1)[0] ?? 0) / 255 + 1) / 2;
    state = "open";
    opened += 1;
    notBeforeMs = clock.monotonicMs() + Math.ceil(wait * share);
    options.onChange("open", failures);
  }

  return {
    waitMs() {
      if (state === "closed") return undefined;
      if (state === "half-open") return Math.min(limits.openTimeoutMs, limits.backoffFirstMs);
      const left = notBeforeMs - clock.monotonicMs();
      return left > 0 ? left : undefined;
    },
    notBeforeMs: () => (state === "closed" ? undefined : notBeforeMs),
    begin() {
      if (this.waitMs() !== undefined) throw new TypeError("an upstream that is given time is not tried");
      if (state === "closed") return "try";
      state = "half-open";
      return "probe";
    },
    withdraw() {
      if (state === "half-open") state = "open";
    },
    succeeded() {
      failures = 0;
      if (state === "closed") return;
      state = "closed";
      opened = 0;
      options.onChange("closed", 0);
    },
    failed(of) {
      // What was under way when it opened says nothing new.
      if (state === "open") return;
      const by = of === "upstream" ? undefined : of.agentKey;
      onlyBy = failures === 0 || onlyBy === by ? by : undefined;
      failures += 1;
      const isOfOne = onlyBy !== undefined && !(of !== "upstream" && of.isAlone);
      if (state === "half-open" || (failures >= limits.breakerFailures && !isOfOne)) open();
    },
  };
}

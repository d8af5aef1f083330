/**
 * The calls that were allowed and have not ended, or whose answers are kept: each is judged again when authority changes and
 * cut when it would no longer be allowed, when what its decision relied on expires, and when contact to the database is lost. Does not
 * decide anything itself: every entry brings its own judgement.
 */
import type { Reason } from "@writ/contract";

export interface OpenCall {
  readonly tenantId: string;
  readonly callId: string;
  /** Judges the call again on the state as it is now; the reason when it would no longer be allowed. */
  readonly rejudge: () =>
    | { readonly kind: "stands"; readonly validUntilMs: number }
    | { readonly kind: "falls"; readonly reason: Reason };
  /** Ends the call at once; idempotent. */
  readonly cut: (reason: Reason) => void;
  validUntilMs: number;
  /** Whether it has no end of its own: somebody listens, or may come back for its answer. */
  lasts: boolean;
}

export interface OpenCalls {
  add(call: OpenCall): void;
  remove(callId: string): void;
  readonly size: number;
  /** Judges all open calls of a tenant again; called after each change of its state that is not additive. */
  review(tenantId: string): void;
  /** Cuts the calls whose validity has passed. */
  expire(nowMs: number): void;
  cutTenant(tenantId: string, reason: Reason): void;
  cutAll(reason: Reason): void;
  /** Cuts what nobody can wait for the end of. */
  cutLasting(reason: Reason): void;
}

export function createOpenCalls(): OpenCalls {
  const byTenant = new Map<string, Map<string, OpenCall>>();
  const tenantOf = new Map<string, string>();

  return {
    add(call) {
      let calls = byTenant.get(call.tenantId);
      if (calls === undefined) {
        calls = new Map();
        byTenant.set(call.tenantId, calls);
      }
      calls.set(call.callId, call);
      tenantOf.set(call.callId, call.tenantId);
    },
    remove(callId) {
      const tenantId = tenantOf.get(callId);
      if (tenantId === undefined) return;
      tenantOf.delete(callId);
      const calls = byTenant.get(tenantId);
      calls?.delete(callId);
      if (calls?.size === 0) byTenant.delete(tenantId);
    },
    get size() {
      return tenantOf.size;
    },
    review(tenantId) {
      for (const call of byTenant.get(tenantId)?.values() ?? []) {
        const review = call.rejudge();
        if (review.kind === "falls") call.cut(review.reason);
        else call.validUntilMs = review.validUntilMs;
      }
    },
    expire(nowMs) {
      for (const calls of byTenant.values()) {
        for (const call of calls.values()) if (call.validUntilMs <= nowMs) call.cut("decision_expired");
      }
    },
    cutTenant(tenantId, reason) {
      for (const call of byTenant.get(tenantId)?.values() ?? []) call.cut(reason);
    },
    cutAll(reason) {
      for (const calls of byTenant.values()) for (const call of calls.values()) call.cut(reason);
    },
    cutLasting(reason) {
      for (const calls of byTenant.values()) {
        for (const call of calls.values()) if (call.lasts) call.cut(reason);
      }
    },
  };
}

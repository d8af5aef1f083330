/**
 * Stage 2 for enforcement points: finds the key in the tenant's authority and compares its hash. What the enforcement
 * point may ask, and for whom, is judged later and on every question.
 */
import { timingSafeEqual } from "node:crypto";
import type { Reason } from "@writ/contract";
import { type AssertedSubject, isAssertable, type TenantState } from "@writ/core";
import { type KeyParts, parsePointKey } from "@writ/runtime";
import type { Authenticated, AuthenticatedPoint, AuthenticateInput, PointAuthentication } from "./gate.ts";
import { createLookupLimit } from "./lookup-limit.ts";
import type { Clock, StatePort } from "./ports.ts";

/** Asserted subjects remembered at once, so that what is found out about one serves its next question. */
const SUBJECTS_MAX = 10_000;
/** How long a key that is not known yet may wait for the head. */
const CATCH_UP_MS = 5_000;

export interface PointAuthenticatorOptions {
  readonly clock: Clock;
  readonly state: StatePort;
  /** Counts what was rejected. */
  readonly rejected: (reason: Reason) => void;
}

export interface PointAuthenticator {
  readonly authenticate: (input: AuthenticateInput) => PointAuthentication | Promise<PointAuthentication>;
  /** A point that was never authenticated is a mistake of ours: TypeError. */
  readonly assertSubject: (point: AuthenticatedPoint, agentId: string) => Authenticated;
  /** The subject behind what `assertSubject` gave out, as authority knows it now; undefined for anything else. */
  readonly subjectOf: (authenticated: Authenticated) => AssertedSubject | undefined;
}

export function createPointAuthenticator(options: PointAuthenticatorOptions): PointAuthenticator {
  const points = new WeakSet<AuthenticatedPoint>();
  const assertions = new WeakMap<Authenticated, { readonly enforcementPointId: string; readonly agentId: string }>();
  const remembered = new Map<string, AssertedSubject>();
  const mayLook = createLookupLimit();

  function reject(reason: Reason): PointAuthentication {
    options.rejected(reason);
    return { kind: "rejected", reason, detail: "" };
  }

  /** Undefined when the state does not know this very key (it may be behind). */
  function compareOn(state: TenantState | undefined, key: KeyParts): AuthenticatedPoint | undefined {
    const { unverifiedId } = key;
    const stored = state?.get("enforcement_point", unverifiedId);
    // What is not there is compared all the same, so that it costs what a wrong key does.
    const isSame = timingSafeEqual(readDigest(stored?.digest), key.hash);
    if (state === undefined || stored === undefined || !isSame) return undefined;
    if (stored.expiresAtMs !== undefined && options.clock.nowMs() >= stored.expiresAtMs) return undefined;
    const point = { kind: "authenticated_point", tenantId: state.tenantId, enforcementPointId: unverifiedId } as const;
    points.add(point);
    return point;
  }

  async function compareLater(key: KeyParts, remoteAddress: string): Promise<PointAuthentication> {
    const { unverifiedTenantId } = key;
    const inMemory = options.state.current(unverifiedTenantId) !== undefined;
    if (!mayLook({ unverifiedTenantId, inMemory, remoteAddress }, options.clock.monotonicMs())) {
      return reject("state_unavailable");
    }
    const signal = AbortSignal.timeout(CATCH_UP_MS);
    try {
      if (!inMemory && (await options.state.load(unverifiedTenantId, signal)) === undefined) {
        return reject("point_key_invalid");
      }
      return compareOn(await options.state.catchUp(unverifiedTenantId, signal), key) ?? reject("point_key_invalid");
    } catch {
      // A Failure of the store becomes a rejection: without state nobody is let in.
      return { kind: "rejected", reason: "state_unavailable", detail: "" };
    }
  }

  return {
    authenticate({ authorization, remoteAddress }) {
      const key = parsePointKey(/^bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? "");
      if (key === undefined) return reject("point_key_invalid");
      return compareOn(options.state.current(key.unverifiedTenantId), key) ?? compareLater(key, remoteAddress);
    },
    assertSubject(point, agentId) {
      if (!points.has(point)) throw new TypeError("an adapter speaks for an enforcement point that it made up");
      const { tenantId, enforcementPointId } = point;
      const tokenDigest = `${enforcementPointId}/${agentId}`;
      const authenticated: Authenticated = { kind: "authenticated", tenantId, tokenDigest, agentId };
      assertions.set(authenticated, { enforcementPointId, agentId });
      return authenticated;
    },
    subjectOf(authenticated) {
      const assertion = assertions.get(authenticated);
      if (assertion === undefined) return undefined;
      const { tenantId } = authenticated;
      const { enforcementPointId, agentId } = assertion;
      const state = options.state.current(tenantId);
      const stored = state?.get("enforcement_point", enforcementPointId);
      const agent = state?.get("agent", agentId);
      const noToken = { rootNode: "", path: [], segments: [] } as const;
      const principalId = agent?.principalId ?? "";
      const subject: AssertedSubject = { enforcementPointId, tenantId, agentId, principalId, ...noToken };
      // Only what is on record is remembered: an enforcement point can name any number of others.
      const isKnown = state !== undefined && stored !== undefined && isAssertable(state, stored, agentId) === "within";
      if (!isKnown) return subject;
      const name = `${enforcementPointId}/${agentId}/${principalId}`;
      const known = remembered.get(name);
      if (known !== undefined) return known;
      if (remembered.size >= SUBJECTS_MAX) remembered.clear();
      remembered.set(name, subject);
      return subject;
    },
  };
}

const NO_DIGEST = new Uint8Array(32);

function readDigest(hex: string | undefined): Uint8Array {
  const bytes = hex === undefined ? NO_DIGEST : Buffer.from(hex, "hex");
  // Only commands write digests; one of another length is nobody's.
  return bytes.length === 32 ? bytes : NO_DIGEST;
}

/**
 * Stage 2 for whoever has no credential: finds the public route that a request takes, at an address that names tenant and
 * upstream. Everything else there (no such tenant or upstream, one that is suspended, a route of another kind) has one
 * answer, by one way through this file (I11). Whether the request may be made is judged later, and on every call.
 */
import { ANONYMOUS, type Reason } from "@writ/contract";
import { type AnonymousSubject, findHttpRoute, makeAnonymous, type TenantState } from "@writ/core";
import type { Authenticated, Authentication, PublicRequest } from "./gate.ts";
import { createLookupLimit } from "./lookup-limit.ts";
import type { Clock, StatePort } from "./ports.ts";

/** Tenants whose subject is remembered, so that what is found out about it serves its next call. */
const SUBJECTS_MAX = 10_000;
/** How long a route that is not known yet may wait for the head. */
const CATCH_UP_MS = 5_000;

export interface PublicDoorOptions {
  readonly clock: Clock;
  readonly state: StatePort;
  /** Counts what was rejected. */
  readonly rejected: (reason: Reason) => void;
}

export interface PublicDoor {
  readonly admit: (request: PublicRequest) => Authentication | Promise<Authentication>;
  /** The subject behind what `admit` gave out. Anything else is a mistake of ours: TypeError. */
  readonly subjectOf: (authenticated: Authenticated) => AnonymousSubject;
}

export function createPublicDoor(options: PublicDoorOptions): PublicDoor {
  const subjects = new WeakMap<Authenticated, AnonymousSubject>();
  const remembered = new Map<string, Authenticated>();
  const mayLook = createLookupLimit();

  function reject(reason: Reason): Authentication {
    options.rejected(reason);
    return { kind: "rejected", reason, detail: "" };
  }

  function admitted(tenantId: string): Authenticated {
    const known = remembered.get(tenantId);
    if (known !== undefined) return known;
    const authenticated = { kind: "authenticated", tenantId, tokenDigest: ANONYMOUS, agentId: ANONYMOUS } as const;
    subjects.set(authenticated, makeAnonymous(tenantId));
    if (remembered.size >= SUBJECTS_MAX) remembered.clear();
    remembered.set(tenantId, authenticated);
    return authenticated;
  }

  /**
   * What memory does not have is looked for on the head, at the same limit and cost whatever it is that there is not:
   * that a tenant is in memory is nobody's business either.
   */
  async function lookLater(request: PublicRequest): Promise<Authentication> {
    const { unverifiedTenantId, remoteAddress } = request;
    const lookup = { unverifiedTenantId, inMemory: false, remoteAddress };
    if (!mayLook(lookup, options.clock.monotonicMs())) return reject("state_unavailable");
    const signal = AbortSignal.timeout(CATCH_UP_MS);
    try {
      const isLoaded =
        options.state.current(unverifiedTenantId) !== undefined ||
        (await options.state.load(unverifiedTenantId, signal)) !== undefined;
      const head = isLoaded ? await options.state.catchUp(unverifiedTenantId, signal) : undefined;
      return takes(head, request) === "taken" ? admitted(unverifiedTenantId) : reject("upstream_unknown");
    } catch {
      // A Failure of the store becomes a rejection: without state nobody is let in.
      return reject("state_unavailable");
    }
  }

  return {
    admit(request) {
      const { unverifiedTenantId } = request;
      // What is no identifier at all is not looked for; everybody can see that it is none.
      if (!IDENTIFIER.test(unverifiedTenantId)) return reject("upstream_unknown");
      const isKnown = takes(options.state.current(unverifiedTenantId), request) === "taken";
      return isKnown ? admitted(unverifiedTenantId) : lookLater(request);
    },
    subjectOf(authenticated) {
      const subject = subjects.get(authenticated);
      if (subject === undefined) throw new TypeError("an adapter handed over somebody who was never admitted");
      return subject;
    },
  };
}

const IDENTIFIER = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether there is a public route for the request, of an upstream and tenant that are active. */
function takes(state: TenantState | undefined, { upstream, method, path }: PublicRequest): "taken" | "unknown" {
  const known = state?.upstreamByName(upstream)?.value;
  const isActive = known?.status === "active" && state?.get("tenant", state.tenantId)?.status === "active";
  if (known === undefined || !isActive) return "unknown";
  try {
    return findHttpRoute(known.transport, method, path)?.kind === "public" ? "taken" : "unknown";
  } catch {
    // Routes that cannot be read take nothing: unknown means no.
    return "unknown";
  }
}

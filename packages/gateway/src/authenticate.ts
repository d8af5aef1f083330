/**
 * Stage 2 of a call: the credential from the header. Decodes the token, finds its root key and verifies the chain of
 * signatures. What the token may do, and whether it still stands, is judged later and on every call; verified tokens
 * are remembered, because verifying is a pure function of the token's bytes and the key.
 */
import type { Reason } from "@writ/contract";
import type { TenantState } from "@writ/core";
import { decodeToken, type TokenHash, type VerifiedToken, verifyToken } from "@writ/token";
import type { Authenticated, AuthenticateInput, Authentication } from "./gate.ts";
import { createLookupLimit } from "./lookup-limit.ts";
import type { Clock, StatePort } from "./ports.ts";

/** Verified tokens remembered at once; the least recently used goes first. */
const VERIFIED_MAX = 10_000;
/**
 * Characters of their texts. A verified token takes up to twenty times its text in memory, and whoever holds one token
 * makes any number of long ones offline; tokens of ordinary length reach the number above first.
 */
const VERIFIED_CHARACTERS_MAX = 4 * 1024 * 1024;
/** Longer than any token of the one spelling. */
const AUTHORIZATION_LENGTH_MAX = 12_000;

export interface AuthenticateOptions {
  readonly clock: Clock;
  readonly state: StatePort;
  readonly hash: TokenHash;
  /** Unwraps a root key; undefined when it cannot be unwrapped. */
  readonly unwrapRootKey: (tenantId: string, keyId: string, wrapped: string) => Uint8Array | undefined;
  /** Counts what was rejected. */
  readonly rejected: (reason: Reason) => void;
}

export interface Authenticator {
  readonly authenticate: (input: AuthenticateInput) => Authentication | Promise<Authentication>;
  /** The verified token behind what `authenticate` gave out. Anything else is a mistake of ours: TypeError. */
  readonly tokenOf: (authenticated: Authenticated) => VerifiedToken;
}

/** Where a verified token is presented from. */
interface Whence {
  readonly remoteAddress: string;
  readonly relayedBy?: string | undefined;
}

interface Remembered {
  readonly authenticated: Authenticated;
  readonly keyId: string;
  readonly wrapped: string;
}

export function createAuthenticator(options: AuthenticateOptions): Authenticator {
  const verified = new Map<string, Remembered>();
  /** Adapters carry an `Authenticated` without being able to read or make the token behind it. */
  const tokens = new WeakMap<Authenticated, VerifiedToken>();

  function reject(reason: Reason, detail: string): Authentication {
    options.rejected(reason);
    return { kind: "rejected", reason, detail };
  }

  let characters = 0;

  function forget(text: string): void {
    if (verified.delete(text)) characters -= text.length;
  }

  function remember(text: string, entry: Remembered): void {
    forget(text);
    verified.set(text, entry);
    characters += text.length;
    for (const oldest of verified.keys()) {
      if (verified.size <= VERIFIED_MAX && characters <= VERIFIED_CHARACTERS_MAX) return;
      forget(oldest);
    }
  }

  /** The same for all who present the token themselves, unless it asks where they are. */
  function presented(authenticated: Authenticated, { remoteAddress, relayedBy }: Whence): Authenticated {
    const token = tokens.get(authenticated);
    if (token === undefined || (relayedBy === undefined && !token.namesNetworks)) return authenticated;
    const whence = relayedBy === undefined ? { address: remoteAddress } : { relayedBy };
    const own: Authenticated = { ...authenticated, ...whence };
    tokens.set(own, token);
    return own;
  }

  /** Verifies on the state as it is; undefined when the state does not know the key (it may be behind). */
  function verifyOn(state: TenantState, text: string, decoded: Decoded, whence: Whence): Authentication | undefined {
    const { unverifiedKeyId: keyId, unverifiedTenantId: tenantId } = decoded.token;
    const key = state.get("root_key", keyId);
    if (key === undefined) return undefined;
    if (key.status === "retired") return reject("token_key_unknown", "the root key is retired");
    const rootKey = options.unwrapRootKey(tenantId, keyId, key.wrapped);
    if (rootKey === undefined) return reject("token_key_unknown", "the root key cannot be unwrapped");
    const check = verifyToken(options.hash, rootKey, decoded.token);
    if (check.kind === "rejected") return reject(check.reason, "");
    const { token } = check;
    const authenticated: Authenticated = {
      kind: "authenticated",
      tenantId: token.tenantId,
      tokenDigest: token.textDigest,
      agentId: token.agentId,
    };
    tokens.set(authenticated, token);
    remember(text, { authenticated, keyId, wrapped: key.wrapped });
    return presented(authenticated, whence);
  }

  const mayLook = createLookupLimit();

  async function verifyLater(text: string, decoded: Decoded, whence: Whence): Promise<Authentication> {
    const { remoteAddress } = whence;
    const { unverifiedTenantId: tenantId } = decoded.token;
    const inMemory = options.state.current(tenantId) !== undefined;
    if (!mayLook({ unverifiedTenantId: tenantId, inMemory, remoteAddress }, options.clock.monotonicMs())) {
      options.rejected("token_key_unknown");
      return { kind: "rejected", reason: "state_unavailable", detail: "" };
    }
    const signal = AbortSignal.timeout(5_000);
    try {
      const known = options.state.current(tenantId) ?? (await options.state.load(tenantId, signal));
      if (known === undefined) return reject("token_key_unknown", "");
      const first = verifyOn(known, text, decoded, whence);
      if (first !== undefined) return first;
      // A key made a moment ago may not have reached this process.
      const head = await options.state.catchUp(tenantId, signal);
      const second = head === undefined ? undefined : verifyOn(head, text, decoded, whence);
      return second ?? reject("token_key_unknown", "");
    } catch {
      // A Failure of the store becomes a rejection: without state nobody is let in.
      return { kind: "rejected", reason: "state_unavailable", detail: "" };
    }
  }

  function authenticate(input: AuthenticateInput): Authentication | Promise<Authentication> {
    const { authorization } = input;
    if (authorization === undefined || authorization === "") return reject("token_missing", "");
    if (authorization.length > AUTHORIZATION_LENGTH_MAX) return reject("token_malformed", "the header is too long");
    const text = bearerOf(authorization);
    if (text === undefined) return reject("token_missing", "the Authorization header is not a bearer token");

    const remembered = verified.get(text);
    if (remembered !== undefined) {
      const state = options.state.current(remembered.authenticated.tenantId);
      const key = state?.get("root_key", remembered.keyId);
      // Remembered under this very key, which still verifies: its signature cannot have become wrong.
      if (key !== undefined && key.status !== "retired" && key.wrapped === remembered.wrapped) {
        verified.delete(text);
        verified.set(text, remembered);
        return presented(remembered.authenticated, input);
      }
      forget(text);
    }

    const decoded = decodeToken(text);
    if (decoded.kind === "malformed") return reject("token_malformed", "");
    const state = options.state.current(decoded.token.unverifiedTenantId);
    return (
      (state === undefined ? undefined : verifyOn(state, text, decoded, input)) ?? verifyLater(text, decoded, input)
    );
  }

  return {
    authenticate,
    tokenOf(authenticated) {
      const token = tokens.get(authenticated);
      if (token === undefined) throw new TypeError("an adapter handed over something that was never authenticated");
      return token;
    },
  };
}

type Decoded = Extract<ReturnType<typeof decodeToken>, { kind: "decoded" }>;

/** RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1). */
function bearerOf(authorization: string): string | undefined {
  const space = authorization.indexOf(" ");
  if (space < 0 || authorization.slice(0, space).toLowerCase() !== "bearer") return undefined;
  const text = authorization.slice(space + 1);
  return text === "" ? undefined : text;
}

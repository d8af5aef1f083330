/** A small tenant with real tokens, for the tests of this package. Imported by nothing else. */
import type { AccessRequest, AuthorityObject, AuthoritySnapshot, JsonObject } from "@writ/contract";
import { compileRules } from "@writ/policy";
import { attenuateToken, decodeToken, makeTokenHash, mintToken, type VerifiedToken, verifyToken } from "@writ/token";
import { describe } from "./describe.ts";
import type { Attempt, DescribeInput } from "./judgement.ts";
import { buildState, type StateOptions, type TenantState } from "./tenant-state.ts";

export const NOW_MS = Date.UTC(2026, 0, 5, 12);
export const AUDIENCE = "http://127.0.0.1:7400";
export const TENANT = "01970000-0000-7000-8000-000000000001";
export const AGENT = "01970000-0000-7000-8000-00000000000a";
export const HELPER = "01970000-0000-7000-8000-00000000000b";
export const PRINCIPAL = "01970000-0000-7000-8000-00000000000c";
const ROOT_KEY = new Uint8Array(32).fill(7);

export const RULES = `version: 1
rules:
  - { id: connect, effect: allow, match: { action: [mcp.session, tool.list, token.attenuate] } }
  - { id: echo, effect: allow, match: { tool: everything/echo } }
  - { id: sum, effect: allow, match: { tool: everything/sum }, when: { args: { /a: { max: 100 } } } }
  - { id: no-env, effect: deny, match: { tool: everything/get-env } }
  - { id: ask, effect: step_up, match: { tool: everything/wipe } }
`;

/** What a test may vary; everything has a default that allows `everything/echo`. */
export interface WorldOptions {
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly rules?: string;
  readonly objects?: readonly AuthorityObject[];
  readonly caveats?: readonly string[];
  readonly compilePolicy?: StateOptions["compilePolicy"];
}

export interface TokenAttempt extends Attempt {
  readonly token: VerifiedToken;
}

export interface World {
  readonly state: TenantState;
  readonly options: StateOptions;
  readonly snapshot: AuthoritySnapshot;
  readonly rootText: string;
  readonly rootNode: string;
  verify(text: string): VerifiedToken;
  child(text: string, id: string, caveats: readonly string[]): string;
  attempt(text: string, call?: Partial<DescribeInput>, request?: Partial<AccessRequest>): TokenAttempt;
}

export function makeTestWorld(world: WorldOptions): World {
  const hash = makeTokenHash(world.sha256);
  const caveats = world.caveats ?? [JSON.stringify({ exp: NOW_MS / 1000 + 86_400 }), JSON.stringify({ aud: AUDIENCE })];
  const minted = mintToken(hash, {
    keyId: "k1",
    rootKey: ROOT_KEY,
    tenantId: TENANT,
    id: "00112233445566778899aabbccddeeff",
    agentId: AGENT,
    principalId: PRINCIPAL,
    issuedAtMs: NOW_MS - 60_000,
    caveats,
  });
  if (minted.kind !== "minted") throw new TypeError(minted.detail);
  const snapshot = makeSnapshot(minted.node, caveats, world.rules ?? RULES, world.objects ?? []);
  const options: StateOptions = {
    sha256: world.sha256,
    compilePolicy: world.compilePolicy ?? (({ source, digest }) => compileRules(source, { digest })),
  };
  const state = buildState(snapshot, options);
  const verify = (text: string): VerifiedToken => {
    const decoding = decodeToken(text);
    if (decoding.kind === "malformed") throw new TypeError(decoding.detail);
    const check = verifyToken(hash, ROOT_KEY, decoding.token);
    if (check.kind === "rejected") throw new TypeError(check.reason);
    return check.token;
  };
  return {
    state,
    options,
    snapshot,
    rootText: minted.token,
    rootNode: minted.node,
    verify,
    child(text, id, added) {
      const attenuation = attenuateToken(hash, text, { id, caveats: added });
      if (attenuation.kind !== "attenuated") throw new TypeError(attenuation.detail);
      return attenuation.token;
    },
    attempt(text, call = {}, request = {}) {
      const token = verify(text);
      const described = describe(state, {
        token,
        action: "tool.call",
        upstream: "everything",
        tool: "echo",
        arguments: jsonObject({ message: "hi" }),
        callId: "01970000-0000-7000-8000-0000000000ff",
        protocol: "mcp",
        nowMs: NOW_MS,
        ...call,
      });
      return { token, request: { ...described, ...request }, audience: AUDIENCE, nowMs: call.nowMs ?? NOW_MS };
    },
  };
}

/** An object as the strict reader makes it. */
export function jsonObject(members: JsonObject): JsonObject {
  return Object.assign(Object.create(null), members) as JsonObject; // null-prototype, with those members
}

function makeSnapshot(
  rootNode: string,
  caveats: readonly string[],
  rules: string,
  more: readonly AuthorityObject[],
): AuthoritySnapshot {
  const tool = (name: string): AuthorityObject => ({
    kind: "tool",
    id: `everything/${name}`,
    version: 1,
    value: {
      upstream: "everything",
      name,
      definition: JSON.stringify({ name }),
      digest: `digest-${name}`,
      status: "active",
    },
  });
  const agent = (id: string, name: string): AuthorityObject => ({
    kind: "agent",
    id,
    version: 1,
    value: { name, principalId: PRINCIPAL, status: "active", labels: { env: "dev" } },
  });
  const base: AuthorityObject[] = [
    {
      kind: "tenant",
      id: TENANT,
      version: 1,
      value: { name: "acme", status: "active", tokenLifetimeMaxSeconds: 86_400, budgetNodesMax: 100 },
    },
    {
      kind: "principal",
      id: PRINCIPAL,
      version: 1,
      value: { name: "alice", type: "person", status: "active" },
    },
    agent(AGENT, "assistant"),
    agent(HELPER, "helper"),
    {
      kind: "upstream",
      id: "01970000-0000-7000-8000-00000000000d",
      version: 1,
      value: {
        name: "everything",
        transport: { type: "http", url: "http://127.0.0.1:1/" },
        isolation: "principal",
        status: "active",
        timeoutMs: 1_000,
        concurrencyMax: 4,
      },
    },
    tool("echo"),
    tool("sum"),
    tool("get-env"),
    tool("wipe"),
    tool("unmentioned"),
    { kind: "root_key", id: "k1", version: 1, value: { status: "active", wrapped: "" } },
    {
      kind: "root_token",
      id: rootNode,
      version: 1,
      value: {
        agentId: AGENT,
        principalId: PRINCIPAL,
        keyId: "k1",
        label: "",
        caveats,
        issuedAtMs: NOW_MS - 60_000,
        expiresAtMs: NOW_MS + 86_400_000,
      },
    },
    {
      kind: "policy",
      id: "active",
      version: 1,
      value: { versionId: "v1", language: "rules", source: rules, digest: "policy-digest" },
    },
  ];
  const replaced = new Set(more.map(({ kind, id }) => `${kind} ${id}`));
  return {
    tenantId: TENANT,
    revision: 5,
    instanceRevision: 2,
    epoch: 1,
    objects: [...base.filter(({ kind, id }) => !replaced.has(`${kind} ${id}`)), ...more],
    instanceObjects: [],
  };
}

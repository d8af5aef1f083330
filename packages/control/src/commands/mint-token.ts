/**
 * Mints a root token for an agent. The token is in the answer and nowhere else; what is stored is its node and its
 * caveats. Refused is whatever no gateway would enforce, and whatever would live longer than the tenant permits, or not
 * at all: a token that is good for nothing is a mistake of whoever asks, who believes to have a short-lived one.
 */
import { hash } from "node:crypto";
import { type JsonValue, parseStrictJsonText, type TenantSettings, writeJson } from "@writ/contract";
import type { TokenMint, TokenMintAnswer } from "@writ/contract/admin";
import { makeTokenHash, mintToken as mint } from "@writ/token";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { notFound, Problem } from "../problem.ts";
import type { CommandTransaction } from "../store/control-store.ts";
import { requireReference } from "./change-object.ts";
import { openRootKey } from "./root-key-material.ts";

const TOKEN_LIFETIME_DEFAULT_SECONDS = 86_400;

export const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));

export function mintToken(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: TokenMint,
): Promise<TokenMintAnswer> {
  return context.store.command(actor, tenantId, (transaction) => mintIn(transaction, context, tenantId, input));
}

/** Mints in a transaction that the caller has: the first start makes everything at once. */
export async function mintIn(
  transaction: CommandTransaction,
  context: ControlContext,
  tenantId: string,
  input: TokenMint,
): Promise<TokenMintAnswer> {
  const tenant = await transaction.get("tenant", tenantId);
  if (tenant === undefined) throw notFound();
  const agentId = await requireReference(transaction, "agent", input.agent);
  const agent = await transaction.get("agent", agentId);
  if (agent === undefined) throw new Problem("reference_unknown", "There is no such agent.");
  const key = (await transaction.find("root_key")).findLast((one) => one.value.status === "active");
  if (key === undefined) throw new Problem("state_conflict", "The tenant has no root key that mints.");

  const issuedAtMs = Math.floor(context.clock.nowMs() / 1000) * 1000;
  const { caveats, expiresAtMs } = completeCaveats(input, tenant.value, issuedAtMs, context.audience);
  const rootKey = openRootKey(context, tenantId, key.id, key.value);
  const minting = mint(tokenHash, {
    keyId: key.id,
    rootKey,
    tenantId,
    id: Buffer.from(context.random.bytes(16)).toString("hex"),
    agentId,
    principalId: agent.value.principalId,
    issuedAtMs,
    caveats,
  });
  rootKey.fill(0);
  if (minting.kind === "refused") throw new Problem("caveat_unenforceable", `${minting.reason}: ${minting.detail}`);
  const { principalId } = agent.value;
  const { node, token } = minting;
  const label = input.label ?? "";
  const value = { agentId, principalId, keyId: key.id, label, caveats, issuedAtMs, expiresAtMs };
  const version = await transaction.put("root_token", node, value, 0);
  transaction.record("token.minted", {
    version,
    node,
    agentId,
    principalId,
    keyId: key.id,
    // Kinds only: a caveat's operands may be what an agent or a person supplied.
    caveats: caveats.map(caveatKind),
    expiresAt: expiresAtMs,
  });
  return { token, node, agentId, principalId, expiresAtMs, caveats };
}

/** The caveats as texts, with `exp` and `aud` where the request has none, and the least expiry of them. */
function completeCaveats(
  input: TokenMint,
  tenant: TenantSettings,
  issuedAtMs: number,
  audience: string,
): { readonly caveats: readonly string[]; readonly expiresAtMs: number } {
  // Objects come from the strict parser, so numbers in them keep their lexemes.
  const texts = (input.caveats ?? []).map((caveat) =>
    typeof caveat === "string" ? caveat : writeJson(caveat as unknown as JsonValue),
  );
  const given = texts.map(readCaveat);
  const lifetime = input.expiresInSeconds ?? Math.min(TOKEN_LIFETIME_DEFAULT_SECONDS, tenant.tokenLifetimeMaxSeconds);
  const expiries = given.flatMap((caveat) =>
    caveat.kind === "exp" && typeof caveat.operand === "number" ? [caveat.operand] : [],
  );
  const issuedAt = issuedAtMs / 1000;
  const wanted = input.expiresInSeconds !== undefined || expiries.length === 0 ? [issuedAt + lifetime] : [];
  const expiresAt = Math.min(...expiries, ...wanted);
  if (expiresAt <= issuedAt) {
    throw new Problem(
      "expiry_past",
      `An exp caveat names ${expiresAt}, and now is ${issuedAt}, in seconds since 1970.`,
    );
  }
  if (expiresAt - issuedAt > tenant.tokenLifetimeMaxSeconds) {
    throw new Problem(
      "lifetime_exceeded",
      `Tokens of this tenant live at most ${tenant.tokenLifetimeMaxSeconds} seconds.`,
    );
  }
  const caveats = [
    ...(given.some((caveat) => caveat.kind === "aud") ? [] : [JSON.stringify({ aud: audience })]),
    ...wanted.map((exp) => JSON.stringify({ exp })),
    ...texts,
  ];
  return { caveats, expiresAtMs: expiresAt * 1000 };
}

interface GivenCaveat {
  readonly kind: string;
  readonly operand: unknown;
}

/** Problem `caveat_unenforceable` for what is not an object with exactly one member; its meaning is checked by minting. */
function readCaveat(text: string): GivenCaveat {
  const read = parseStrictJsonText(text);
  const value = read.kind === "value" ? read.value : undefined;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Problem("caveat_unenforceable", "caveat_malformed: a caveat is a JSON object with exactly one member");
  }
  const entries = Object.entries(value);
  const first = entries[0];
  if (first === undefined || entries.length !== 1) {
    throw new Problem("caveat_unenforceable", "caveat_malformed: a caveat is a JSON object with exactly one member");
  }
  return { kind: first[0], operand: first[1] };
}

function caveatKind(text: string): string {
  return readCaveat(text).kind;
}

/**
 * The identifier of a token: who minted it under which key, for whom. JSON with exactly these members in this order
 * and no spaces; anything else is not an identifier, so that it too has one spelling.
 */
import { parseStrictJson } from "@writ/contract";

export interface TokenIdentifier {
  readonly keyId: string;
  readonly tenantId: string;
  /** 128 random bits as 32 lower-case hexadecimal digits. */
  readonly id: string;
  readonly agentId: string;
  readonly principalId: string;
  /** Unix time in whole seconds, as it stands in the identifier. */
  readonly issuedAtSeconds: number;
}

const NAME = /^[A-Za-z0-9._:-]{1,128}$/;
const ID = /^[0-9a-f]{32}$/;
/** The last second of the year 9999: later times are mistakes of unit. */
const SECONDS_MAX = 253_402_300_799;

/** Why these values make no identifier, or undefined when they do. */
export function identifierFlaw(identifier: TokenIdentifier): string | undefined {
  for (const name of ["keyId", "tenantId", "agentId", "principalId"] as const) {
    if (!NAME.test(identifier[name])) return `${name} is not a name`;
  }
  if (!ID.test(identifier.id)) return "id is not 32 lower-case hexadecimal digits";
  if (!isUnixTime(identifier.issuedAtSeconds)) return "the time of issue is not a unix time in seconds";
  return undefined;
}

export function isUnixTime(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= SECONDS_MAX;
}

/** The identifier's one text; its values must have no flaw. */
export function writeIdentifier(identifier: TokenIdentifier): string {
  const { keyId, tenantId, id, agentId, principalId, issuedAtSeconds } = identifier;
  return JSON.stringify({ v: 1, k: keyId, t: tenantId, id, sub: agentId, prn: principalId, iat: issuedAtSeconds });
}

/** Reads an identifier, or answers undefined when the bytes are not the one spelling of one. */
export function readIdentifier(bytes: Uint8Array): TokenIdentifier | undefined {
  const read = parseStrictJson(bytes, { depthMax: 1 });
  if (read.kind === "fault" || read.value === null || typeof read.value !== "object") return undefined;
  // A strict object has no prototype, and an array no such members: every lookup finds a member or nothing.
  const { v, k, t, id, sub, prn, iat } = read.value as Record<string, unknown>;
  if (v !== 1 || !isUnixTime(iat)) return undefined;
  for (const member of [k, t, id, sub, prn]) if (typeof member !== "string") return undefined;
  const identifier: TokenIdentifier = {
    keyId: k as string, // checked in the loop above, as are the next ones
    tenantId: t as string,
    id: id as string,
    agentId: sub as string,
    principalId: prn as string,
    issuedAtSeconds: iat,
  };
  if (identifierFlaw(identifier) !== undefined || writeIdentifier(identifier) !== read.text) return undefined;
  return identifier;
}

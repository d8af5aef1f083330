/** Finds the token that a command works on, and shows what one says. A token is never an argument of a command. */
import { hash } from "node:crypto";
import {
  type DecodedToken,
  decodeToken,
  describeToken,
  makeTokenHash,
  type SegmentDescription,
  type TokenHash,
} from "@writ/token";
import { dataDirectory } from "./admin-session.ts";
import type { CliContext } from "./cli-context.ts";
import { refused } from "./exit-codes.ts";
import { readSecretFile, readSecretIfThere } from "./files.ts";
import { formatFields, formatTime, printable } from "./format-table.ts";

export const tokenHash: TokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));

/** From --token-file, from WRIT_TOKEN, from a pipe, or the starter token of this directory. */
export async function findToken(context: CliContext, tokenFile: string | undefined): Promise<string> {
  if (tokenFile === "-") return readPiped(context);
  if (tokenFile !== undefined) return readSecretFile(context, tokenFile, "token file");
  const token = context.environment["WRIT_TOKEN"];
  if (token !== undefined && token !== "") return token;
  const path = `${dataDirectory(context)}/starter-token`;
  const starter = await readSecretIfThere(context, path, "token file");
  if (starter !== undefined) return starter;
  throw refused(
    `There is no token. Name a file with --token-file (- reads standard input), set WRIT_TOKEN, or run this where ${path} is.`,
    "token_missing",
  );
}

async function readPiped(context: CliContext): Promise<string> {
  const text = (await context.readInput()).trim();
  if (text === "") throw refused("Standard input holds no token.", "token_missing");
  return text;
}

/** Refuses what is no token. Nobody has verified it. */
function readToken(text: string): DecodedToken {
  const decoding = decodeToken(text);
  if (decoding.kind === "decoded") return decoding.token;
  throw refused(`This is no token: ${decoding.detail}.`, "token_malformed");
}

/** What a token says of itself, without its signature. */
export interface TokenReading {
  readonly verified: false;
  readonly unverifiedTenantId: string;
  readonly unverifiedAgentId: string;
  readonly unverifiedPrincipalId: string;
  readonly unverifiedKeyId: string;
  readonly unverifiedIssuedAtMs: number;
  /** Nodes from the root to the token's own, the last. */
  readonly unverifiedPath: readonly string[];
  readonly unverifiedSegments: readonly SegmentDescription[];
}

export function inspectToken(text: string): TokenReading {
  const description = describeToken(tokenHash, readToken(text));
  if (description.kind !== "unverified") throw new TypeError("a decoded token has not been verified");
  const { kind: _kind, ...reading } = description;
  return { verified: false, ...reading };
}

/** The token's own node. */
export function nodeOfToken(text: string): string {
  const node = inspectToken(text).unverifiedPath.at(-1);
  if (node === undefined) throw new TypeError("a token has a root");
  return node;
}

export function formatToken(reading: TokenReading): string {
  const lines = [
    "Nobody has verified this token: it is shown as it is written.\n\n",
    formatFields([
      ["tenant", reading.unverifiedTenantId],
      ["agent", reading.unverifiedAgentId],
      ["principal", reading.unverifiedPrincipalId],
      ["root key", reading.unverifiedKeyId],
      ["issued", formatTime(reading.unverifiedIssuedAtMs)],
    ]),
  ];
  reading.unverifiedSegments.forEach(({ node, caveats }, index) => {
    lines.push(`\n${index === 0 ? "minted" : `child ${index}`}  node ${node}\n`);
    for (const { text, kind, detail } of caveats) {
      const remark = kind === "unknown" || kind === "malformed" ? `  prohibits every call: ${detail || kind}` : "";
      lines.push(`  ${printable(text === "" ? "(not UTF-8)" : text)}${remark}\n`);
    }
  });
  return lines.join("");
}

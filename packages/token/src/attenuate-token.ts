/**
 * Attenuate: make a weaker token from one that is held, offline and without any key. The child is a node of its own.
 * Nothing is verified and nobody is asked: that is for whoever it is presented to.
 */
import { decodeToken, encodeToken } from "./decode-token.ts";
import { type CaveatRefusal, refuseCaveats, refuseSize } from "./mint-token.ts";
import { nodeOf } from "./node-path.ts";
import { parseCaveatText } from "./parse-caveat.ts";
import { signCaveat } from "./sign-token.ts";
import type { TokenHash } from "./token-hash.ts";
import { readSegments } from "./verify-token.ts";

export interface AttenuateOptions {
  /** Names the child among its siblings; random unless the holder has a reason. 1 to 256 characters. */
  readonly id: string;
  /** JSON texts; no `id`. */
  readonly caveats: readonly string[];
}

export type Attenuation =
  | {
      readonly kind: "attenuated";
      readonly token: string;
      /** The child's node, and that of its parent, as a gateway would name them. */
      readonly node: string;
      readonly parent: string;
    }
  | { readonly kind: "malformed"; readonly detail: string }
  | CaveatRefusal;

const encoder = new TextEncoder();

/** Appends an `id` caveat and then `caveats`. Refuses what no gateway would enforce, as minting does. */
export function attenuateToken(hash: TokenHash, text: string, options: AttenuateOptions): Attenuation {
  const decoding = decodeToken(text);
  if (decoding.kind === "malformed") return decoding;
  const idText = JSON.stringify({ id: options.id });
  const id = parseCaveatText(idText);
  if (id.meaning.kind === "malformed") {
    return { kind: "refused", reason: "caveat_malformed", detail: id.meaning.detail };
  }
  const refusal = refuseCaveats(options.caveats);
  if (refusal !== undefined) return refusal;

  const parts = decoding.token.unverifiedParts;
  const added = [idText, ...options.caveats].map((caveat) => encoder.encode(caveat));
  let signature = parts.signature;
  for (const caveat of added) signature = signCaveat(hash, signature, caveat);
  const caveats = [...parts.caveats, ...added];
  const token = encodeToken({ identifier: parts.identifier, caveats, signature });
  const tooLarge = refuseSize(token, caveats.length);
  if (tooLarge !== undefined) return tooLarge;
  const segments = readSegments(hash, decoding.token);
  const parent = segments[segments.length - 1]?.node as string; // there is always the root's
  return { kind: "attenuated", token, node: nodeOf(hash, parent, options.id), parent };
}

/**
 * The child of a token that a delegation is about: its text, made once per call from the presented text, and what is
 * judged of it. Whether it may be put on record is judged elsewhere; its text is kept nowhere.
 */
import type { Reason } from "@writ/contract";
import type { AttenuationAttempt } from "@writ/core";
import { attenuateToken, parseCaveatText, type TokenHash, type VerifiedToken } from "@writ/token";
import type { ChildRequest, Random } from "./ports.ts";

export type Child =
  | {
      readonly kind: "made";
      /** For the holder alone. */
      readonly text: string;
      readonly node: string;
      readonly judged: AttenuationAttempt["child"];
    }
  /** Some caveat of it, or its size, is nothing that a gateway would enforce. */
  | { readonly kind: "refused"; readonly reason: Reason; readonly detail: string };

/** How long the child's own id is, in random bytes. */
const ID_BYTES = 16;

export function makeChild(
  deps: { readonly random: Random; readonly hash: TokenHash },
  parent: VerifiedToken,
  request: ChildRequest,
): Child {
  const { caveats, carves, agentId } = request;
  const id = Buffer.from(deps.random.bytes(ID_BYTES)).toString("hex");
  const made = attenuateToken(deps.hash, request.parentText, { id, caveats });
  if (made.kind === "malformed") return { kind: "refused", reason: "token_malformed", detail: made.detail };
  if (made.kind === "refused") return made;
  return {
    kind: "made",
    text: made.token,
    node: made.node,
    judged: {
      path: [...parent.path, made.node],
      caveats: [JSON.stringify({ id }), ...caveats],
      carves,
      ...(agentId === undefined ? {} : { agentId }),
      expiresAtMs: Math.min(parent.expiresAtMs, expiryOf(caveats)),
    },
  };
}

/** The least `exp` among caveats; without any, no limit of their own. */
function expiryOf(caveats: readonly string[]): number {
  let least = Number.MAX_SAFE_INTEGER;
  for (const caveat of caveats) {
    const { meaning } = parseCaveatText(caveat);
    if (meaning.kind === "exp") least = Math.min(least, meaning.atMs);
  }
  return least;
}

export { type AttenuateOptions, type Attenuation, attenuateToken } from "./attenuate-token.ts";
export {
  argumentConditions,
  type Clearing,
  type ClearingAttempt,
  clearCaveats,
  isLeftOut,
  listsAction,
  listsTool,
  remainingDepth,
} from "./clear-caveats.ts";
export {
  type DecodedToken,
  decodeToken,
  encodeToken,
  TOKEN_CAVEATS_MAX,
  TOKEN_LENGTH_MAX,
  TOKEN_PREFIX,
  type TokenDecoding,
  type TokenParts,
} from "./decode-token.ts";
export {
  type CaveatDescription,
  describeToken,
  type SegmentDescription,
  type TokenDescription,
} from "./describe-token.ts";
export { type CaveatRefusal, type Minting, type MintOptions, mintToken } from "./mint-token.ts";
export { nodeOf } from "./node-path.ts";
export { type CaveatMeaning, type ParsedCaveat, parseCaveatText } from "./parse-caveat.ts";
export { makeTokenHash, type TokenHash } from "./token-hash.ts";
export {
  type NodeLimit,
  type NodeRate,
  type TokenCheck,
  type TokenSegment,
  type VerifiedToken,
  verifyToken,
} from "./verify-token.ts";

/**
 * Built-ins on JSON Web Tokens: `io.jwt.decode`, `verify_…`, `decode_verify`, `encode_sign…`. Taking tokens apart and
 * reading keys is in ../jwt; here is what each built-in asks of a token.
 */
import { base64UrlOf, hexOf, utf8BytesOf } from "../bytes.ts";
import { parseJson, writeJson } from "../json.ts";
import { ALGORITHMS_BY_NAME, isSignedBy, isSignedWith, type JwsAlgorithm, schemeOf } from "../jwt/algorithms.ts";
import { readKeySet, type VerificationKey } from "../jwt/key-set.ts";
import { NESTED_MAX, nestedTokenOf, readClaims, readToken, type Token, TokenFault } from "../jwt/token.ts";
import { compareNumbers, doubleOfNumber, multiplyNumbers, numberOfBigint, type RegoNumber } from "../number.ts";
import { ANY, ANY_OBJECT, BOOLEAN, dictionaryOf, STRING, tupleOf } from "../types.ts";
import {
  isArray,
  isNumber,
  isObject,
  kindOf,
  memberOf,
  type PlainObject,
  sortedEntries,
  type Value,
} from "../value.ts";
import { jwkBytes } from "../x509/keys.ts";
import {
  type Builtin,
  type BuiltinEnvironment,
  builtin,
  builtinError,
  objectOperand,
  stringOperand,
} from "./builtin.ts";

const NAMED = dictionaryOf(STRING, ANY);

/** What a signature costs to make or to verify, in steps of about a hundred nanoseconds. */
const SIGNATURE_STEPS = 500;

/** Bytes of a token that are read for one step. */
const BYTES_PER_STEP = 20;

export const TOKENS: readonly Builtin[] = [
  builtin("io.jwt.decode", [STRING], tupleOf([ANY_OBJECT, ANY_OBJECT, STRING]), (environment, text) => {
    const { token, claims } = innermost(environment, stringOperand(text, 1));
    return [token.header, claims, hexOf(token.signature)];
  }),
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"].map(verifyWithKey),
  ...["HS256", "HS384", "HS512"].map(verifyWithSecret),
  builtin(
    "io.jwt.decode_verify",
    [STRING, NAMED],
    tupleOf([BOOLEAN, ANY_OBJECT, ANY_OBJECT]),
    (environment, text, constraints) =>
      withFaults(() =>
        decodeAndVerify(environment, stringOperand(text, 1), constraintsOf(environment, objectOperand(constraints, 2))),
      ),
    { nondeterministic: true },
  ),
  builtin(
    "io.jwt.encode_sign",
    [NAMED, NAMED, NAMED],
    STRING,
    (environment, header, payload, key) =>
      sign(
        environment,
        writeJson(objectOperand(header, 1)),
        writeJson(objectOperand(payload, 2)),
        writeJson(objectOperand(key as Value, 3)), // all three are there
      ),
    { nondeterministic: true },
  ),
  builtin(
    "io.jwt.encode_sign_raw",
    [STRING, STRING, STRING],
    STRING,
    (environment, header, payload, key) =>
      sign(environment, stringOperand(header, 1), stringOperand(payload, 2), stringOperand(key as Value, 3)), // it is there
    { nondeterministic: true },
  ),
];

/** A token that cannot be read is an error of the built-in. */
function withFaults<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof TokenFault) throw builtinError(cause.message);
    throw cause;
  }
}

function readTokenHere(environment: BuiltinEnvironment, text: string): Token {
  environment.spend(Math.ceil(text.length / BYTES_PER_STEP));
  return withFaults(() => readToken(text));
}

function innermost(
  environment: BuiltinEnvironment,
  text: string,
): { readonly token: Token; readonly claims: PlainObject } {
  let token = readTokenHere(environment, text);
  for (let depth = 0; depth < NESTED_MAX; depth += 1) {
    if (memberOf(token.header, "enc") !== undefined) {
      throw builtinError("JWT is a JWE object, which is not supported");
    }
    const nested = nestedTokenOf(token);
    if (nested === undefined) return { token, claims: withFaults(() => readClaims(token)) };
    token = readTokenHere(environment, nested);
  }
  throw builtinError(`tokens are nested deeper than ${NESTED_MAX}`);
}

function algorithmOf(name: string): JwsAlgorithm {
  const algorithm = ALGORITHMS_BY_NAME.get(name);
  if (algorithm === undefined) throw new TypeError(`no algorithm ${name}`);
  return algorithm;
}

function verifyWithKey(name: string): Builtin {
  const algorithm = algorithmOf(name);
  return builtin(`io.jwt.verify_${name.toLowerCase()}`, [STRING, STRING], BOOLEAN, (environment, text, keys) => {
    const token = readTokenHere(environment, stringOperand(text, 1));
    return isVerified(environment, token, algorithm, keysOf(environment, stringOperand(keys, 2)));
  });
}

function verifyWithSecret(name: string): Builtin {
  const algorithm = algorithmOf(name);
  if (algorithm.kind !== "hmac") throw new TypeError(`${name} takes no secret`);
  return builtin(`io.jwt.verify_${name.toLowerCase()}`, [STRING, STRING], BOOLEAN, (environment, text, secret) => {
    const token = readTokenHere(environment, stringOperand(text, 1));
    return isAuthentic(environment, token, algorithm, stringOperand(secret, 2));
  });
}

function isAuthentic(
  environment: BuiltinEnvironment,
  token: Token,
  algorithm: JwsAlgorithm & { readonly kind: "hmac" },
  secret: string,
): boolean {
  const signed = { bytes: token.signed, signature: token.signature };
  environment.spend(Math.ceil(token.signed.length / BYTES_PER_STEP));
  return isSignedWith(environment.cryptography(), algorithm.hash, utf8BytesOf(secret), signed);
}

function keysOf(environment: BuiltinEnvironment, text: string): readonly VerificationKey[] {
  const read = environment.prepared.get("jwt-keys", text, (source) => {
    environment.spend(Math.ceil(source.length / BYTES_PER_STEP));
    return readKeySet(source);
  });
  if (read.kind === "fault") throw builtinError(read.message);
  return read.keys;
}

/**
 * Whether one of the keys signed. A key whose id the token names is the only one tried. A key that says which algorithm
 * it is for verifies only tokens that say the same.
 */
function isVerified(
  environment: BuiltinEnvironment,
  token: Token,
  algorithm: JwsAlgorithm,
  keys: readonly VerificationKey[],
): boolean {
  const signed = { bytes: token.signed, signature: token.signature };
  const cryptography = environment.cryptography();
  const matches = ({ key }: VerificationKey): boolean => {
    environment.spend(SIGNATURE_STEPS);
    return isSignedBy(cryptography, algorithm, key, signed);
  };
  const id = memberOf(token.header, "kid");
  const named = typeof id === "string" && id !== "" ? keys.find((key) => key.id === id) : undefined;
  if (named !== undefined) return matches(named);
  const stated = memberOf(token.header, "alg");
  return keys.some((key) => (key.algorithm === undefined || key.algorithm === stated) && matches(key));
}

interface Constraints {
  readonly keys: readonly VerificationKey[] | undefined;
  readonly secret: string | undefined;
  readonly algorithm: string | undefined;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  /** Nanoseconds since 1970; there may be no clock, which matters only to tokens that ask for the time. */
  time(): RegoNumber;
}

function constraintsOf(environment: BuiltinEnvironment, object: Parameters<typeof memberOf>[0]): Constraints {
  const texts = new Map<string, string>();
  let time: RegoNumber | undefined;
  for (const [name, value] of sortedEntries(object)) {
    switch (name) {
      case "cert":
      case "secret":
      case "alg":
      case "iss":
      case "aud":
        if (typeof value !== "string") throw builtinError(`${name} constraint: must be a string`);
        texts.set(name, value);
        break;
      case "time":
        if (!isNumber(value)) throw builtinError("token time constraint: must be a number");
        if (compareNumbers(value, 0) < 0) throw builtinError("token time constraint: must not be negative");
        time = value;
        break;
      default:
        throw builtinError(`unknown token validation constraint: ${typeof name === "string" ? name : kindOf(name)}`);
    }
  }
  const certificate = texts.get("cert");
  const secret = texts.get("secret");
  if (certificate !== undefined && secret !== undefined) throw builtinError("duplicate key constraints");
  if (certificate === undefined && secret === undefined) throw builtinError("no key constraint");
  return {
    keys: certificate === undefined ? undefined : keysOf(environment, certificate),
    secret,
    algorithm: texts.get("alg"),
    issuer: texts.get("iss"),
    audience: texts.get("aud"),
    time: () => time ?? numberOfBigint(environment.timeNs()),
  };
}

const UNVERIFIED: Value = [false, {}, {}];

function decodeAndVerify(environment: BuiltinEnvironment, text: string, constraints: Constraints): Value {
  let token = readTokenHere(environment, text);
  for (let depth = 0; depth < NESTED_MAX; depth += 1) {
    if (!isAcceptable(environment, token, constraints)) return UNVERIFIED;
    const nested = nestedTokenOf(token);
    if (nested === undefined) {
      const claims = readClaims(token);
      return areClaimsGood(claims, constraints) ? [true, token.header, claims] : UNVERIFIED;
    }
    token = readTokenHere(environment, nested);
  }
  throw builtinError(`tokens are nested deeper than ${NESTED_MAX}`);
}

/** Whether a token's header is understood and its signature is verified. */
function isAcceptable(environment: BuiltinEnvironment, token: Token, constraints: Constraints): boolean {
  const stated = memberOf(token.header, "alg");
  if (typeof stated !== "string") return false;
  if (constraints.algorithm !== undefined && constraints.algorithm !== stated) return false;
  // Nothing that a header may call critical is known here (RFC 7515, 4.1.11).
  if (memberOf(token.header, "crit") !== undefined) return false;
  const algorithm = ALGORITHMS_BY_NAME.get(stated);
  if (algorithm === undefined) throw builtinError(`unknown JWS algorithm: ${stated}`);
  if (algorithm.kind === "hmac") {
    return constraints.secret !== undefined && isAuthentic(environment, token, algorithm, constraints.secret);
  }
  return constraints.keys !== undefined && isVerified(environment, token, algorithm, constraints.keys);
}

function areClaimsGood(claims: PlainObject, constraints: Constraints): boolean {
  if (constraints.issuer !== undefined && memberOf(claims, "iss") !== constraints.issuer) return false;
  if (!isMeantFor(memberOf(claims, "aud"), constraints.audience)) return false;
  const expiry = secondsClaim(claims, "exp");
  if (expiry !== undefined && compareNumbers(constraints.time(), nanosOf(expiry)) >= 0) return false;
  const start = secondsClaim(claims, "nbf");
  return start === undefined || compareNumbers(constraints.time(), nanosOf(start)) >= 0;
}

/** Either both name an audience, and the same, or neither does (RFC 7519, 4.1.3). */
function isMeantFor(claim: Value | undefined, audience: string | undefined): boolean {
  if (claim === undefined) return audience === undefined;
  if (audience === undefined) return false;
  return isArray(claim) ? claim.includes(audience) : claim === audience;
}

function secondsClaim(claims: PlainObject, name: string): RegoNumber | undefined {
  const value = memberOf(claims, name);
  if (value === undefined) return undefined;
  if (!isNumber(value)) throw builtinError(`${name} value must be a number`);
  return value;
}

function nanosOf(seconds: RegoNumber): RegoNumber {
  return Number.isFinite(doubleOfNumber(seconds)) ? multiplyNumbers(seconds, 1_000_000_000) : seconds;
}

function sign(environment: BuiltinEnvironment, header: string, payload: string, key: string): string {
  const algorithm = algorithmOfHeader(header);
  const type = memberOf(objectOfJson(header) ?? {}, "typ");
  if ((type === undefined || type === "" || type === "JWT") && parseJson(payload).kind === "fault") {
    throw builtinError("type is JWT but payload is not JSON");
  }
  const jwk = objectOfJson(key);
  if (jwk === undefined) throw builtinError("failed to parse JWK: it is no JSON object");
  const signing = `${base64UrlOf(utf8BytesOf(header))}.${base64UrlOf(utf8BytesOf(payload))}`;
  environment.spend(SIGNATURE_STEPS + Math.ceil(signing.length / BYTES_PER_STEP));
  return `${signing}.${base64UrlOf(signatureOf(environment, algorithm, jwk, utf8BytesOf(signing)))}`;
}

function algorithmOfHeader(header: string): JwsAlgorithm {
  const bad = (why: string) => builtinError(`missing or invalid 'alg' header: ${why}`);
  if (header === "") throw bad("cannot parse JSON: cannot parse empty string");
  const read = parseJson(header);
  if (read.kind === "fault") throw bad(`cannot parse JSON: ${read.message}`);
  const name = isObject(read.value) ? memberOf(read.value, "alg") : undefined;
  if (name === undefined) throw bad('jwsbb: header "alg" not found');
  if (typeof name !== "string") throw bad('jwsbb: header "alg" is not a string');
  const algorithm = ALGORITHMS_BY_NAME.get(name);
  if (algorithm === undefined) throw builtinError(`unknown JWS algorithm: ${name}`);
  return algorithm;
}

function objectOfJson(text: string): PlainObject | undefined {
  const read = parseJson(text);
  if (read.kind === "fault" || !isObject(read.value)) return undefined;
  return read.value as PlainObject; // of JSON, all keys are strings
}

const KEY_TYPES = { hmac: "oct", rsa_pkcs1: "RSA", rsa_pss: "RSA", ecdsa: "EC", ed25519: "OKP" } as const;

function signatureOf(
  environment: BuiltinEnvironment,
  algorithm: JwsAlgorithm,
  jwk: PlainObject,
  bytes: Uint8Array,
): Uint8Array {
  const type = memberOf(jwk, "kty");
  if (type !== KEY_TYPES[algorithm.kind]) {
    const found = typeof type === "string" ? type : "missing";
    throw builtinError(
      `failed to sign: ${algorithm.name} needs a key of type ${KEY_TYPES[algorithm.kind]}, not ${found}`,
    );
  }
  const cryptography = environment.cryptography();
  const scheme = schemeOf(algorithm);
  if (algorithm.kind === "hmac" || scheme === undefined) {
    const secret = jwkBytes(memberOf(jwk, "k"));
    if (algorithm.kind !== "hmac" || secret === undefined) throw builtinError("failed to sign: the key has no secret");
    return cryptography.hmac(algorithm.hash, secret, bytes);
  }
  const curve = memberOf(jwk, "crv");
  if (algorithm.kind === "ecdsa" && curve !== algorithm.curve) {
    throw builtinError(`failed to sign: ${algorithm.name} needs a key of curve ${algorithm.curve}`);
  }
  const members: Record<string, string> = {};
  for (const name of ["kty", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi"]) {
    const member = memberOf(jwk, name);
    if (typeof member === "string") members[name] = member;
  }
  try {
    return cryptography.sign(scheme, members, bytes);
  } catch {
    throw builtinError("failed to sign: the key cannot be used"); // a key that is none: an error of the built-in
  }
}

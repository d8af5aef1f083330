import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { NOW_NS, valueOfQuery } from "./query.fixture.ts";

const UNVERIFIED = [false, {}, {}];
const NOW = Number(NOW_NS / 1_000_000_000n);

function base64Url(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

function hs256(header: unknown, payload: unknown, secret = "secret"): string {
  const signing = `${base64Url(header)}.${base64Url(payload)}`;
  return `${signing}.${createHmac("sha256", secret).update(signing).digest("base64url")}`;
}

function decodeVerify(token: string, constraints: Readonly<Record<string, string | number>>): unknown {
  return valueOfQuery("io.jwt.decode_verify(input.token, input.constraints)", { input: { token, constraints } });
}

const PAIRS: Readonly<Record<string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>> = {
  RSA: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  "P-256": generateKeyPairSync("ec", { namedCurve: "P-256" }),
  "P-384": generateKeyPairSync("ec", { namedCurve: "P-384" }),
  "P-521": generateKeyPairSync("ec", { namedCurve: "P-521" }),
  Ed25519: generateKeyPairSync("ed25519"),
};

const KEY_OF: Readonly<Record<string, string>> = {
  RS256: "RSA",
  RS384: "RSA",
  RS512: "RSA",
  PS256: "RSA",
  PS384: "RSA",
  PS512: "RSA",
  ES256: "P-256",
  ES384: "P-384",
  ES512: "P-521",
  EdDSA: "Ed25519",
};

function pairOf(kind: string) {
  const pair = PAIRS[kind];
  if (pair === undefined) throw new TypeError(`no keys of kind ${kind}`);
  return pair;
}

function jwkOf(key: KeyObject): Record<string, string> {
  return key.export({ format: "jwk" }) as Record<string, string>; // a JWK of a key pair has texts alone
}

function signed(algorithm: string, payload: Readonly<Record<string, string | number>>, header = {}): string {
  const key = jwkOf(pairOf(KEY_OF[algorithm] ?? "").privateKey);
  const input = { header: { ...header, alg: algorithm }, payload, key };
  return String(valueOfQuery("io.jwt.encode_sign(input.header, input.payload, input.key)", { input }));
}

function pemOf(kind: string): string {
  return String(pairOf(kind).publicKey.export({ format: "pem", type: "spki" }));
}

describe("signing and verifying with key pairs", () => {
  test.each(Object.keys(KEY_OF))("a token signed with %s is verified with its key alone", (algorithm) => {
    const kind = KEY_OF[algorithm] ?? "";
    const token = signed(algorithm, { sub: "me" });
    const verify = (keys: string, text = token) =>
      valueOfQuery(`io.jwt.verify_${algorithm.toLowerCase()}(input.token, input.keys)`, {
        input: { token: text, keys },
      });
    expect(verify(pemOf(kind))).toBe(true);
    expect(verify(JSON.stringify(jwkOf(pairOf(kind).publicKey)))).toBe(true);
    expect(verify(JSON.stringify({ keys: Object.values(PAIRS).map(({ publicKey }) => jwkOf(publicKey)) }))).toBe(true);
    for (const other of Object.keys(PAIRS).filter((name) => name !== kind)) expect(verify(pemOf(other))).toBe(false);
    const [header, , signature] = token.split(".");
    expect(verify(pemOf(kind), `${header}.${base64Url({ sub: "you" })}.${signature}`)).toBe(false);
    expect(verify(pemOf(kind), `${header}.${token.split(".")[1]}.`)).toBe(false);
    expect(decodeVerify(token, { cert: pemOf(kind) })).toEqual([true, { alg: algorithm }, { sub: "me" }]);
  });

  test("a key of another curve verifies nothing, even where it signed", () => {
    const signing = `${base64Url({ alg: "ES256" })}.e30`;
    const key = pairOf("P-384").privateKey;
    const signature = sign("sha256", Buffer.from(signing), { key, dsaEncoding: "ieee-p1363" });
    const token = `${signing}.${signature.toString("base64url")}`;
    expect(decodeVerify(token, { cert: pemOf("P-384") })).toEqual(UNVERIFIED);
  });

  test("a key that says its algorithm verifies no token of another", () => {
    const keys = (alg: string) => JSON.stringify({ ...jwkOf(pairOf("RSA").publicKey), alg });
    const token = signed("RS256", {});
    expect(decodeVerify(token, { cert: keys("RS256") })).toEqual([true, { alg: "RS256" }, {}]);
    expect(decodeVerify(token, { cert: keys("PS256") })).toEqual(UNVERIFIED);
  });

  test("a key that the token names is the only one tried", () => {
    const right = { ...jwkOf(pairOf("RSA").publicKey), kid: "right" };
    const wrong = { ...jwkOf(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey), kid: "wrong" };
    const cert = JSON.stringify({ keys: [wrong, right] });
    expect(decodeVerify(signed("RS256", {}, { kid: "right" }), { cert })).toMatchObject([true, {}, {}]);
    expect(decodeVerify(signed("RS256", {}, { kid: "wrong" }), { cert })).toEqual(UNVERIFIED);
    expect(decodeVerify(signed("RS256", {}, { kid: "other" }), { cert })).toMatchObject([true, {}, {}]);
  });
});

describe("io.jwt.decode_verify refuses", () => {
  const confused = hs256({ alg: "HS256" }, {}, pemOf("RSA"));
  const nested = hs256({ alg: "HS256", cty: "jwt" }, hs256({ alg: "HS256" }, { sub: "inner" }, "other"));
  test.each<[string, string, Readonly<Record<string, string | number>>]>([
    ["a token without a signature", `${base64Url({ alg: "HS256" })}.e30.`, { secret: "secret" }],
    ["a wrong secret", hs256({ alg: "HS256" }, {}), { secret: "Secret" }],
    ["an empty secret where a key is asked for", hs256({ alg: "HS256" }, {}, ""), { cert: pemOf("RSA") }],
    ["a public key used as a secret", confused, { cert: pemOf("RSA") }],
    ["an algorithm that is not asked for", hs256({ alg: "HS256" }, {}), { secret: "secret", alg: "HS512" }],
    ["an issuer of another name", hs256({ alg: "HS256" }, { iss: "me" }), { secret: "secret", iss: "you" }],
    ["an issuer that is no text", hs256({ alg: "HS256" }, { iss: 1 }), { secret: "secret", iss: "1" }],
    ["an audience that is not expected", hs256({ alg: "HS256" }, { aud: "a" }), { secret: "secret" }],
    ["an audience without ours", hs256({ alg: "HS256" }, { aud: ["a", "b"] }), { secret: "secret", aud: "c" }],
    ["an expiry that is now", hs256({ alg: "HS256" }, { exp: NOW }), { secret: "secret" }],
    ["a start that is to come", hs256({ alg: "HS256" }, { nbf: NOW + 1 }), { secret: "secret" }],
    ["a secret among the public keys", hs256({ alg: "HS256" }, {}), { cert: '{"kty":"oct","k":"c2VjcmV0"}' }],
    ["critical headers", hs256({ alg: "HS256", crit: ["b64"], b64: false }, {}), { secret: "secret" }],
    ["a header without an algorithm", hs256({ typ: "JWT" }, {}), { secret: "secret" }],
    ["an inner token of another key", nested, { secret: "secret" }],
  ])("%s", (_, token, constraints) => {
    expect(decodeVerify(token, constraints)).toEqual(UNVERIFIED);
  });

  test.each<[string, Readonly<Record<string, string | number>>, string]>([
    [hs256({ alg: "HS256" }, { exp: "soon" }), { secret: "secret" }, "exp value must be a number"],
    [hs256({ alg: "none" }, {}), { secret: "secret" }, "unknown JWS algorithm: none"],
    [hs256({ alg: "HS256" }, {}), {}, "no key constraint"],
    [hs256({ alg: "HS256" }, {}), { secret: "secret", cert: pemOf("RSA") }, "duplicate key constraints"],
    [hs256({ alg: "HS256" }, {}), { secret: "secret", sub: "x" }, "unknown token validation constraint: sub"],
    [hs256({ alg: "HS256" }, {}), { secret: 1 }, "secret constraint: must be a string"],
    [hs256({ alg: "HS256" }, {}), { secret: "secret", time: "now" }, "token time constraint: must be a number"],
    [hs256({ alg: "HS256" }, {}), { secret: "secret", time: -1 }, "token time constraint: must not be negative"],
    [hs256({ alg: "HS256" }, [1]), { secret: "secret" }, "JWT payload is not a JSON object"],
    ["e30.e30", { secret: "secret" }, "encoded JWT must have 3 sections, found 2"],
  ])("%s with %j as an error", (token, constraints, message) => {
    expect(decodeVerify(token, constraints)).toBe(`error: io.jwt.decode_verify: ${message}`);
  });
});

test("io.jwt.decode_verify accepts a token whose constraints all hold", () => {
  const claims = { iss: "me", aud: ["a", "b"], exp: NOW + 1, nbf: NOW };
  const constraints = { secret: "secret", iss: "me", aud: "b", alg: "HS256" };
  expect(decodeVerify(hs256({ alg: "HS256" }, claims), constraints)).toEqual([true, { alg: "HS256" }, claims]);
});

test("only a token that asks for the time needs a clock", () => {
  const query = 'io.jwt.decode_verify(input, {"secret": "secret"})';
  const without = (claims: unknown) =>
    valueOfQuery(query, { input: hs256({ alg: "HS256" }, claims), timeNs: undefined as never }); // as if left out
  expect(without({})).toEqual([true, { alg: "HS256" }, {}]);
  expect(without({ exp: 1 })).toBe("error: io.jwt.decode_verify: there is no clock");
});

test("a token that is encrypted is an error to decode", () => {
  const token = hs256({ alg: "dir", enc: "A128GCM" }, {});
  expect(valueOfQuery("io.jwt.decode(input)", { input: token })).toMatch(/is a JWE object, which is not supported/);
});

test("nesting of tokens is bounded", () => {
  let token = hs256({ alg: "HS256" }, {});
  for (let depth = 0; depth < 20; depth += 1) token = hs256({ alg: "HS256", cty: "JWT" }, token);
  expect(decodeVerify(token, { secret: "secret" })).toMatch(/nested deeper than/);
  expect(valueOfQuery("io.jwt.decode(input)", { input: token })).toMatch(/nested deeper than/);
});

test.each<[header: string, payload: string, key: string, message: string]>([
  ["{}", "{}", "{}", `missing or invalid 'alg' header: jwsbb: header "alg" not found`],
  ['{"alg":"none"}', "{}", "{}", "unknown JWS algorithm: none"],
  ['{"alg":"HS256"}', "{}", "[]", "failed to parse JWK: it is no JSON object"],
  ['{"alg":"HS256"}', "{}", '{"kty":"RSA"}', "failed to sign: HS256 needs a key of type oct, not RSA"],
  ['{"alg":"HS256"}', "{}", '{"kty":"oct"}', "failed to sign: the key has no secret"],
  ['{"alg":"ES256"}', "{}", '{"kty":"EC","crv":"P-384"}', "failed to sign: ES256 needs a key of curve P-256"],
  ['{"alg":"RS256"}', "{}", '{"kty":"RSA","n":"AQ"}', "failed to sign: the key cannot be used"],
  ['{"alg":"HS256","typ":"JWT"}', "{", '{"kty":"oct","k":""}', "type is JWT but payload is not JSON"],
])("io.jwt.encode_sign_raw(%j, %j, %j) is an error", (header, payload, key, message) => {
  const input = { header, payload, key };
  const query = "io.jwt.encode_sign_raw(input.header, input.payload, input.key)";
  expect(valueOfQuery(query, { input })).toBe(`error: io.jwt.encode_sign_raw: ${message}`);
});

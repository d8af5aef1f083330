import { generateKeyPairSync, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  alternativeNames,
  authority,
  type CertificateParts,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  makeIdentity,
  makeRequest,
  nameConstraints,
  noAuthority,
  unknownExtension,
  writePem,
} from "../x509/certificate.fixture.ts";
import { readCertificate, readCertificateRequest, readCertificates } from "../x509/certificate.ts";
import { DerFault, TAG, writeDer, writeInteger } from "../x509/der.ts";
import { readPkcs1, readPkcs8, readSec1, readSpki } from "../x509/keys.ts";
import { readPemBlocks } from "../x509/pem.ts";
import { valueOfQuery } from "./query.fixture.ts";

const ROOT = makeIdentity("root");
const MIDDLE = makeIdentity("middle");
const LEAF = makeIdentity("leaf");
const STRANGER = makeIdentity("stranger");

const SERVER = "1.3.6.1.5.5.7.3.1";
const CLIENT = "1.3.6.1.5.5.7.3.2";

type Changes = Partial<CertificateParts>;

/** Root, intermediate and leaf in PEM, with changes. */
function chainPem({ root = {}, middle = {}, leaf = {} }: { root?: Changes; middle?: Changes; leaf?: Changes }): string {
  return [
    makeCertificate({ subject: ROOT, issuer: ROOT, extensions: [authority()], ...root }),
    makeCertificate({ subject: MIDDLE, issuer: ROOT, extensions: [authority(0), keyUsage(5)], ...middle }),
    makeCertificate({
      subject: LEAF,
      issuer: MIDDLE,
      extensions: [alternativeNames({ dns: ["a.example.com", "*.b.example.com"], ip: [[10, 0, 0, 1]] })],
      ...leaf,
    }),
  ]
    .map((der) => writePem("CERTIFICATE", der))
    .join("");
}

/** The common names of the chain that was found; `false` when there is none. */
function verified(certs: string, options?: Readonly<Record<string, unknown>>): unknown {
  const query =
    options === undefined
      ? "crypto.x509.parse_and_verify_certificates(input.certs)"
      : "crypto.x509.parse_and_verify_certificates_with_options(input.certs, input.options)";
  const value = valueOfQuery(query, { input: { certs, options: options ?? {} } as never }); // plain JSON
  if (typeof value === "string") return value;
  const [isValid, chain] = value as [boolean, readonly { Subject: { CommonName: string } }[]];
  return isValid ? chain.map(({ Subject }) => Subject.CommonName) : chain.length === 0 ? false : chain;
}

const FOUND = ["leaf", "middle", "root"];

describe("verifying a chain of certificates", () => {
  test("a leaf is verified by way of an intermediate", () => {
    expect(verified(chainPem({}))).toEqual(FOUND);
  });

  test("a root alone, or nothing, is not verified", () => {
    const [root = ""] = chainPem({}).split(/(?<=-----END CERTIFICATE-----\n)/);
    expect(verified(root)).toBe(false);
    expect(verified("")).toBe(false);
    expect(verified("%")).toBe(false);
    expect(verified(root + root)).toEqual(["root"]);
  });

  const names = alternativeNames({ dns: ["a.example.com"], email: ["me@example.com"], ip: [[10, 0, 0, 1]] });
  test.each<[string, Parameters<typeof chainPem>[0], unknown]>([
    ["a signature of another key", { leaf: { signer: STRANGER.privateKey } }, false],
    ["an issuer that is not there", { leaf: { issuer: STRANGER } }, false],
    ["a leaf that is over", { leaf: { notAfter: "20240229115959Z" } }, false],
    ["a leaf that ends now", { leaf: { notAfter: "20240229120000Z" } }, FOUND],
    ["a leaf that has not begun", { leaf: { notBefore: "20240229120001Z" } }, false],
    ["an intermediate that is over", { middle: { notAfter: "20240229115959Z" } }, false],
    ["a root that is over", { root: { notAfter: "20240229115959Z" } }, false],
    ["an intermediate that does not say what it is", { middle: { extensions: [keyUsage(5)] } }, false],
    ["an intermediate that is no authority", { middle: { extensions: [noAuthority(), keyUsage(5)] } }, false],
    ["an intermediate that may not sign", { middle: { extensions: [authority(), keyUsage(0)] } }, false],
    ["a path that is too long", { root: { extensions: [authority(0)] } }, false],
    ["a path that is just long enough", { root: { extensions: [authority(1)] } }, FOUND],
    ["an unknown critical extension", { leaf: { extensions: [unknownExtension(true)] } }, false],
    ["an unknown extension", { leaf: { extensions: [unknownExtension(false)] } }, FOUND],
    ["a leaf for servers", { leaf: { extensions: [extendedKeyUsage(SERVER)] } }, FOUND],
    ["a leaf for clients alone", { leaf: { extensions: [extendedKeyUsage(CLIENT)] } }, false],
    ["an intermediate for clients alone", { middle: { extensions: [authority(), extendedKeyUsage(CLIENT)] } }, false],
    [
      "a permitted domain",
      { root: { extensions: [authority(), nameConstraints({ dns: ["example.com"] })] }, leaf: { extensions: [names] } },
      FOUND,
    ],
    [
      "a domain not permitted",
      { root: { extensions: [authority(), nameConstraints({ dns: ["ample.com"] })] }, leaf: { extensions: [names] } },
      false,
    ],
    [
      "an excluded domain",
      {
        middle: { extensions: [authority(), nameConstraints({}, { dns: ["a.example.com"] })] },
        leaf: { extensions: [names] },
      },
      false,
    ],
    [
      "an address out of range",
      {
        middle: { extensions: [authority(), nameConstraints({ ip: [[10, 1, 0, 0, 255, 255, 0, 0]] })] },
        leaf: { extensions: [names] },
      },
      false,
    ],
    [
      "an address in range",
      {
        middle: { extensions: [authority(), nameConstraints({ ip: [[10, 0, 0, 0, 255, 255, 0, 0]] })] },
        leaf: { extensions: [names] },
      },
      FOUND,
    ],
    [
      "an excluded mailbox",
      {
        middle: { extensions: [authority(), nameConstraints({}, { email: ["example.com"] })] },
        leaf: { extensions: [names] },
      },
      false,
    ],
  ])("%s decides", (_, parts, expected) => {
    expect(verified(chainPem(parts))).toEqual(expected);
  });

  test.each<[Readonly<Record<string, unknown>>, unknown]>([
    [{}, FOUND],
    [{ DNSName: "a.example.com" }, FOUND],
    [{ DNSName: "A.Example.com" }, FOUND],
    [{ DNSName: "x.b.example.com" }, FOUND],
    [{ DNSName: "b.example.com" }, false],
    [{ DNSName: "x.y.b.example.com" }, false],
    [{ DNSName: "10.0.0.1" }, FOUND],
    [{ DNSName: "[10.0.0.1]" }, FOUND],
    [{ DNSName: "10.0.0.2" }, false],
    [{ CurrentTime: 1700000000000000000 }, false],
    [{ KeyUsages: ["KeyUsageCodeSigning"] }, FOUND],
    [
      { KeyUsages: ["KeyUsageNone", 1] },
      "error: crypto.x509.parse_and_verify_certificates_with_options: invalid entries for 'KeyUsages' found: [KeyUsageNone]",
    ],
    [{ DNSName: 1 }, "error: crypto.x509.parse_and_verify_certificates_with_options: 'DNSName' should be a string"],
    [{ Name: "" }, "error: crypto.x509.parse_and_verify_certificates_with_options: invalid key option"],
  ])("the options %j decide", (options, expected) => {
    expect(verified(chainPem({}), options)).toEqual(expected);
  });

  test("a purpose that the leaf is not for is not verified, any purpose is", () => {
    const certs = chainPem({ leaf: { extensions: [extendedKeyUsage(CLIENT)] } });
    expect(verified(certs, { KeyUsages: ["KeyUsageClientAuth"] })).toEqual(FOUND);
    expect(verified(certs, { KeyUsages: ["KeyUsageServerAuth"] })).toBe(false);
    expect(verified(certs, { KeyUsages: ["KeyUsageAny"] })).toEqual(FOUND);
  });
});

test("a certificate has the members that Go prints", () => {
  const der = makeCertificate({
    subject: LEAF,
    issuer: ROOT,
    serialNumber: 2n ** 100n + 1n,
    notAfter: "20991231235959Z",
    extensions: [
      authority(3),
      keyUsage(0, 5),
      extendedKeyUsage(CLIENT, SERVER, "1.2.3.4"),
      alternativeNames({
        dns: ["a.example.com"],
        email: ["me@example.com"],
        uri: ["spiffe://example.com/x%20y?z#f"],
        ip: [
          [127, 0, 0, 1],
          [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ],
      }),
    ],
  });
  const [value] = valueOfQuery("crypto.x509.parse_certificates(input)", { input: writePem("CERTIFICATE", der) }) as [
    Readonly<Record<string, unknown>>,
  ];
  const jwk = LEAF.publicKey.export({ format: "jwk" });
  expect(value).toMatchObject({
    Raw: Buffer.from(der).toString("base64"),
    Version: 3,
    SignatureAlgorithm: 10,
    PublicKeyAlgorithm: 3,
    Subject: { CommonName: "leaf", Country: ["DE"], Organization: ["Tests"], Province: null, SerialNumber: "" },
    Issuer: { CommonName: "root" },
    NotBefore: "2024-01-01T00:00:00Z",
    NotAfter: "2099-12-31T23:59:59Z",
    KeyUsage: 33,
    ExtKeyUsage: [2, 1],
    UnknownExtKeyUsage: [[1, 2, 3, 4]],
    BasicConstraintsValid: true,
    IsCA: true,
    MaxPathLen: 3,
    MaxPathLenZero: false,
    DNSNames: ["a.example.com"],
    EmailAddresses: ["me@example.com"],
    IPAddresses: ["127.0.0.1", "fe80::1"],
    URIStrings: ["spiffe://example.com/x%20y?z#f"],
    URIs: [
      { Scheme: "spiffe", Host: "example.com", Path: "/x y", RawPath: "", RawQuery: "z", Fragment: "f", User: null },
    ],
    SubjectKeyId: null,
    CRLDistributionPoints: null,
  });
  const x = BigInt(`0x${Buffer.from(String(jwk.x), "base64url").toString("hex")}`);
  expect(value["PublicKey"]).toMatchObject({ Curve: {}, X: Number(x) });
  // Node reads the same.
  const node = new X509Certificate(der);
  expect(BigInt(`0x${node.serialNumber}`)).toBe(readCertificate(der).serialNumber);
  expect(node.subjectAltName).toContain("IP Address:FE80:0:0:0:0:0:0:1");
});

test("a request has the members that Go prints", () => {
  const der = makeRequest(LEAF, [alternativeNames({ dns: ["a.example.com"] })]);
  const input = writePem("CERTIFICATE REQUEST", der);
  expect(valueOfQuery("crypto.x509.parse_certificate_request(input)", { input })).toMatchObject({
    Subject: { CommonName: "leaf" },
    DNSNames: ["a.example.com"],
    Version: 0,
    PublicKeyAlgorithm: 3,
  });
  expect(valueOfQuery("crypto.x509.parse_certificate_request(input)", { input: writePem("CERTIFICATE", der) })).toBe(
    "error: crypto.x509.parse_certificate_request: invalid PEM-encoded certificate signing request",
  );
});

describe("private keys", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ed = generateKeyPairSync("ed25519");
  const pem = (type: "pkcs1" | "pkcs8" | "sec1", key = rsa.privateKey) =>
    String(key.export({ format: "pem", type: type as "pkcs8" })); // Node's types tell kinds of keys apart

  test("a key of RSA becomes a JWK, however it is written", () => {
    const jwk = rsa.privateKey.export({ format: "jwk" });
    const query = "crypto.x509.parse_rsa_private_key(input)";
    for (const input of [pem("pkcs1"), pem("pkcs8"), Buffer.from(pem("pkcs1")).toString("base64")]) {
      expect(valueOfQuery(query, { input })).toEqual(jwk);
    }
    const der = rsa.privateKey.export({ format: "der", type: "pkcs1" }).toString("base64");
    expect(valueOfQuery(query, { input: der })).toEqual(jwk);
    expect(valueOfQuery(query, { input: pem("sec1", LEAF.privateKey) })).toMatch(/not an RSA private key/);
  });

  test("all private keys of a text are parsed, and what is none is passed over", () => {
    const text = `${pem("pkcs1")}${pem("sec1", LEAF.privateKey)}words\n${pem("pkcs8", LEAF.privateKey)}${pem("pkcs8", ed.privateKey)}`;
    const query = "[type_name(key) | some key in crypto.parse_private_keys(input)]";
    const kinds = ["object", "object", "object", "string"];
    expect(valueOfQuery(query, { input: text + chainPem({}) })).toEqual(kinds);
    expect(valueOfQuery(query, { input: Buffer.from(text).toString("base64") })).toEqual(kinds);
  });

  test("a certificate and its key are a pair, and with another they are not", () => {
    const input = { certs: chainPem({ root: { subject: LEAF } }), key: pem("sec1", LEAF.privateKey) };
    const query = "crypto.x509.parse_keypair(input.certs, input.key)";
    expect(valueOfQuery(query, { input })).toMatchObject({
      PrivateKey: { Curve: {} },
      Leaf: { Subject: { CommonName: "leaf" } },
    });
    const der = LEAF.privateKey.export({ format: "der", type: "pkcs8" }).toString("base64");
    expect(valueOfQuery(query, { input: { ...input, key: der } })).toMatchObject({ PrivateKey: { Curve: {} } });
    expect(valueOfQuery(query, { input: { ...input, key: "MAA=" } })).toMatch(/tls: failed to parse private key/);
    expect(valueOfQuery(query, { input: { ...input, certs: chainPem({}) } })).toBe(
      "error: crypto.x509.parse_keypair: tls: private key does not match public key",
    );
  });
});

test.each([
  ['crypto.x509.parse_certificates("")', []],
  ['crypto.x509.parse_certificates("-----BEGIN CERTIFICATE-----")', []],
  [
    'crypto.x509.parse_certificates("-----BEGIN X-----\\n-----END X-----\\n")',
    "error: crypto.x509.parse_certificates: PEM block type is 'X', expected CERTIFICATE",
  ],
  ['crypto.x509.parse_certificates("MAA=")', "error: crypto.x509.parse_certificates: x509: malformed certificate"],
  [
    'crypto.parse_private_keys("LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1BQT0KLS0tLS1FTkQgRUMgUFJJVkFURSBLRVktLS0tLQo=")',
    /^error: crypto.parse_private_keys: /,
  ],
])("%s answers %s", (query, expected) => {
  const value = valueOfQuery(query);
  if (expected instanceof RegExp) expect(value).toMatch(expected);
  else expect(value).toEqual(expected);
});

test("any bytes, and certificates with a byte changed, are read or refused", () => {
  const good = makeCertificate({
    subject: LEAF,
    issuer: ROOT,
    extensions: [authority(3), keyUsage(0), nameConstraints({ dns: ["x"] })],
  });
  const changed = fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => {
    const bytes = Uint8Array.from(good);
    bytes[at] = byte;
    return bytes;
  });
  const readers = [readCertificates, readCertificateRequest, readSpki, readPkcs1, readPkcs8, readSec1];
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), changed), (bytes) => {
      for (const read of readers) {
        try {
          read(bytes);
        } catch (cause) {
          expect(cause).toBeInstanceOf(DerFault);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test("checking many names against many constraints counts against the bound on steps", () => {
  const domains = (suffix: string) => Array.from({ length: 300 }, (_, index) => `${index}.${suffix}`);
  const root = { extensions: [authority(), nameConstraints({}, { dns: domains("example.org") })] };
  const input = chainPem({ root, leaf: { extensions: [alternativeNames({ dns: domains("example.com") })] } });
  const query = "count(crypto.x509.parse_and_verify_certificates(input)[1])";
  expect(valueOfQuery(query, { input })).toBe(3);
  expect(valueOfQuery(query, { input, limits: { steps: 50_000 } })).toMatch(/^error: /);
});

test("an integer of too many bytes is refused", () => {
  const input = Buffer.from(writeDer(TAG.sequence, writeInteger(new Uint8Array(5_000).fill(1)))).toString("base64");
  expect(valueOfQuery("crypto.x509.parse_rsa_private_key(input)", { input })).toMatch(/more than 4096 bytes/);
  const n = Buffer.alloc(5_000, 1).toString("base64url");
  const query = 'io.jwt.verify_rs256("e30.e30.", input)';
  const key = JSON.stringify({ kty: "RSA", e: "AQAB", n });
  expect(valueOfQuery(query, { input: key })).toMatch(/failed to parse a JWK key/);
});

test("a text of many blocks that never end is read in one pass", () => {
  const begins = "-----BEGIN A-----\n".repeat(50_000);
  expect(readPemBlocks(begins)).toEqual([]);
  expect(readPemBlocks(`${begins}-----END B-----\n`)).toEqual([]);
  expect(readPemBlocks(`${begins}MAA=\n-----END A-----\n`)).toHaveLength(1);
});

test("any text is read as PEM without an end in sight", () => {
  const parts = fc.constantFrom(
    "-----BEGIN A-----",
    "-----END A-----",
    "-----BEGIN ",
    "-----",
    "\n",
    "MAA=",
    "x: y",
    " ",
  );
  fc.assert(
    fc.property(
      fc.array(parts).map((list) => list.join("")),
      (text) => {
        for (const { bytes } of readPemBlocks(text)) expect(bytes.length).toBeLessThan(text.length);
      },
    ),
    { numRuns: 1_000 },
  );
});

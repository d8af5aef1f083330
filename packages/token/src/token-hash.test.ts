// The hash parameter: HMAC by its definition agrees with an implementation that is not ours.
import { createHmac, hash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeTokenHash, toHex } from "./token-hash.ts";

const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));

/** Now and then longer than what fits the reused buffer. */
function longer(data: Uint8Array): Uint8Array {
  if (data.length % 5 !== 0) return data;
  const long = new Uint8Array(2000 + data.length);
  long.set(data, 1000);
  return long;
}

test("HMAC from one-shot hashes is HMAC, for keys of any length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 140 }), fc.uint8Array({ maxLength: 200 }).map(longer), (key, data) => {
      const expected = createHmac("sha256", key).update(data).digest("hex");
      expect(toHex(tokenHash.hmacSha256(key, data))).toBe(expected);
    }),
    { numRuns: 500 },
  );
});

test("nothing that the package exports imports Node", () => {
  const folder = new URL("./", import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  expect(sources).toContain("index.ts");
  for (const name of sources) {
    const source = readFileSync(new URL(name, folder), "utf8");
    for (const [, from] of source.matchAll(/from "([^"]+)"/g)) expect(from, name).toMatch(/^(\.\/|@writ\/contract$)/);
    expect(source, name).not.toMatch(/\b(Buffer|process|require)\b[.(]/);
  }
});

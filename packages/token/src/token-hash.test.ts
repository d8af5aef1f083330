// The hash parameter: HMAC by its definition agrees with an implementation that is not ours.
import { createHmac, hash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeTokenHash, toHex } from "./token-hash.ts";

const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));

test("HMAC from one-shot hashes is HMAC, for keys of any length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 140 }), fc.uint8Array({ maxLength: 200 }), (key, data) => {
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

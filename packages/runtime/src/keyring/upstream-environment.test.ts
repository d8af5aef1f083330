import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { openKeyring, UnwrapError } from "./keyring.ts";
import { openEnvironmentValue, wrapEnvironmentValue } from "./upstream-environment.ts";

test("a value opens for its tenant, upstream and name alone, and with its master key alone", () => {
  const keyring = openKeyring(randomBytes(32));
  const place = { tenantId: "t", upstreamId: "u", name: "A_KEY" };
  const wrapped = wrapEnvironmentValue(keyring, place, "a sëcret\n", randomBytes(12));

  expect(JSON.stringify(wrapped)).not.toContain("cret");
  expect(openEnvironmentValue(keyring, place, wrapped)).toBe("a sëcret\n");
  for (const other of [
    { ...place, tenantId: "v" },
    { ...place, upstreamId: "v" },
    { ...place, name: "B_KEY" },
    { ...place, upstreamId: "u/A", name: "KEY" },
  ]) {
    expect(() => openEnvironmentValue(keyring, other, wrapped)).toThrow(UnwrapError);
  }
  expect(() => openEnvironmentValue(openKeyring(randomBytes(32)), place, wrapped)).toThrow(UnwrapError);
});

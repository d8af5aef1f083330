import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isSameHash, makeAdminKey, parseAdminKey } from "./admin-key.ts";
import { openKeyring, UnwrapError } from "./keyring.ts";
import { loadMasterKey } from "./master-key.ts";
import { SecretError } from "./secret-file.ts";

describe("wrapping", () => {
  const keyring = openKeyring(randomBytes(32));
  const place = { tenantId: "t1", kind: "root_key", id: "k1" };
  const secret = randomBytes(32);

  test("a secret opens at its place and nowhere else", () => {
    const wrapped = keyring.wrap(place, secret, randomBytes(12));
    expect(keyring.unwrap(place, wrapped)).toEqual(new Uint8Array(secret));
    for (const other of [
      { ...place, tenantId: "t2" },
      { ...place, kind: "other" },
      { ...place, id: "k2" },
      { ...place, kind: "root_keyk", id: "1" },
    ]) {
      expect(() => keyring.unwrap(other, wrapped)).toThrow(UnwrapError);
    }
    expect(() => openKeyring(randomBytes(32)).unwrap(place, wrapped)).toThrow(UnwrapError);
  });

  test("any changed byte and any shortening is found", () => {
    const bytes = Buffer.from(keyring.wrap(place, secret, randomBytes(12)), "base64");
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => keyring.unwrap(place, changed.toString("base64"))).toThrow(UnwrapError);
      expect(() => keyring.unwrap(place, bytes.subarray(0, index).toString("base64"))).toThrow(UnwrapError);
    }
  });

  test("chain keys differ between tenants and stay the same between starts", () => {
    const master = randomBytes(32);
    const first = openKeyring(master).chainKey("t1");
    const again = openKeyring(master).chainKey("t1");
    const other = openKeyring(master).chainKey("t2");
    expect(again.keyId).toBe(first.keyId);
    expect(again.key.equals(first.key)).toBe(true);
    expect(other.keyId).not.toBe(first.keyId);
    expect(other.key.equals(first.key)).toBe(false);
  });
});

describe("admin keys", () => {
  const tenantId = "019a0000-0000-7000-8000-0000000000aa";
  const id = "019a0000-0000-7000-8000-000000000001";
  const make = () => makeAdminKey({ tenantId, id, secret: randomBytes(32) });

  test("a key is found by its tenant and id and proved by its hash", () => {
    const { text, hash } = make();
    const parsed = parseAdminKey(text);
    expect([parsed?.unverifiedTenantId, parsed?.unverifiedId]).toEqual([tenantId, id]);
    expect(isSameHash(hash, parsed?.hash ?? new Uint8Array())).toBe(true);
    expect(isSameHash(hash, make().hash)).toBe(false);
  });

  test("a key has one spelling", () => {
    const { text } = make();
    for (const last of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
      const other = text.slice(0, -1) + last;
      if (other !== text) expect(parseAdminKey(other)?.hash).not.toEqual(parseAdminKey(text)?.hash);
    }
    expect(parseAdminKey(`${text}=`)).toBeUndefined();
  });

  test.each(["", "wadm_", "writ_AAAA", `wadm_${"A".repeat(85)}`, ` wadm_${"A".repeat(86)}`, `wadm_${"A".repeat(87)}`])(
    "%j is no admin key",
    (text) => {
      expect(parseAdminKey(text)).toBeUndefined();
    },
  );
});

describe("the master key", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "writ-key-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });
  const good = randomBytes(32).toString("base64");
  const load = (mode: "development" | "production", masterKeyFile?: string, masterKey?: string) =>
    loadMasterKey({ mode, masterKeyFile, masterKey });

  test("the first development start makes a file that only its user can read, the second finds it", async () => {
    const path = join(directory, "deep", "master.key");
    const first = await load("development", path);
    expect(first.origin).toEqual({ kind: "created", path });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const second = await load("development", path);
    expect(second.origin.kind).toBe("file");
    expect(second.bytes).toEqual(first.bytes);
    expect(await readdir(join(directory, "deep"))).toEqual(["master.key"]);
  });

  test("two first starts at once end with one key", async () => {
    const path = join(directory, "master.key");
    const [a, b] = await Promise.all([load("development", path), load("development", path)]);
    expect(a?.bytes).toEqual(b?.bytes);
  });

  test("production makes no file and refuses one that development made", async () => {
    const path = join(directory, "master.key");
    await expect(load("production", path)).rejects.toThrow(/never writes secrets/);
    expect(await readdir(directory)).toEqual([]);
    await load("development", path);
    await expect(load("production", path)).rejects.toThrow(/development start made/);
  });

  test("R-RUN-2 a file that everybody can read is refused", async () => {
    const path = join(directory, "master.key");
    await writeFile(path, good);
    await chmod(path, 0o644);
    await expect(load("production", path)).rejects.toThrow(SecretError);
    await chmod(path, 0o600);
    expect((await load("production", path)).bytes.length).toBe(32);
  });

  test.each([
    ["too short", randomBytes(31).toString("base64")],
    ["zeros", Buffer.alloc(32).toString("base64")],
    ["typed", Buffer.from("correct horse battery staple 123").toString("base64")],
    ["no base64", "!".repeat(44)],
    ["empty", ""],
  ])("a key that is %s is refused without being shown", async (_name, text) => {
    const refusal = await load("production", undefined, text).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(SecretError);
    if (text !== "") expect(String(refusal)).not.toContain(text);
  });
});

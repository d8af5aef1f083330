import { chmod, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CredentialFiles, createCredentialFiles } from "./credential-files.ts";

let directory = "";
let nowMs = 0;
let files: CredentialFiles;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-credentials-"));
  nowMs = 0;
  files = createCredentialFiles({ directory, clock: { nowMs: () => nowMs, monotonicMs: () => nowMs } });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function write(name: string, text: string): Promise<void> {
  await writeFile(join(directory, name), text, { mode: 0o600 });
}

test("a value is a file's one line, and a changed file is read again within a second", async () => {
  await write("key", "first-value\n");
  expect(await files.read("key")).toBe("first-value");
  // As an orchestrator does it: the name leads to another file from one moment to the next.
  await write("next", "other-value");
  await rename(join(directory, "next"), join(directory, "key"));
  expect(await files.read("key")).toBe("first-value");
  nowMs += 1000;
  expect(await files.read("key")).toBe("other-value");
});

test("a link is followed to where it leads now", async () => {
  await write("one", "first-value");
  await write("two", "other-value");
  await symlink("one", join(directory, "key"));
  expect(await files.read("key")).toBe("first-value");
  await rm(join(directory, "key"));
  await symlink("two", join(directory, "key"));
  nowMs += 1000;
  expect(await files.read("key")).toBe("other-value");
});

test("a file that went away is not remembered", async () => {
  await write("key", "first-value");
  await files.read("key");
  await rm(join(directory, "key"));
  nowMs += 1000;
  await expect(files.read("key")).rejects.toMatchObject({
    reason: "upstream_unavailable",
    message: expect.stringContaining("no such file"),
  });
});

test.each([
  ["short", "1234567", /shorter than 8/],
  ["two-lines", "first-value\nsecond-value", /one line of printable ASCII/],
  ["control", "first\u0001value", /one line/],
  ["umlaut", "first-välue", /one line/],
  ["quote", 'first"value', /holds a quote/],
  ["percent", "first%value", /percent sign/],
  ["backslash", "first\\value", /backslash/],
  ["large", "x".repeat(9000), /larger than 8192/],
])("the file %s is refused, and its content is not said", async (name, text, why) => {
  await write(name, text);
  const refused = files.read(name);
  await expect(refused).rejects.toThrow(why);
  await expect(refused).rejects.not.toThrow(text);
});

test("a file that everybody can read is refused", async () => {
  await write("key", "first-value");
  await chmod(join(directory, "key"), 0o644);
  await expect(files.read("key")).rejects.toThrow(/accessible to everybody/);
});

test("no name leads out of the directory", async () => {
  await writeFile(`${directory}-outside`, "outside-value", { mode: 0o600 });
  for (const name of ["../x", `../${directory.split("/").at(-1)}-outside`, "/etc/hostname", ".hidden", "", "a/b"])
    await expect(files.read(name)).rejects.toThrow(/no name of a file/);
  await rm(`${directory}-outside`);
});

test("without a directory nothing is read", async () => {
  const none = createCredentialFiles({ directory: undefined, clock: { nowMs: () => 0, monotonicMs: () => 0 } });
  await expect(none.read("key")).rejects.toThrow(/upstreams\.credentialsDir/);
});

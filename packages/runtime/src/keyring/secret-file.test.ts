import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writePrivateFile } from "./secret-file.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-secret-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

test("a private file that is there is kept or replaced as it is asked, and nothing else is left", async () => {
  const path = join(directory, "deep", "secret");
  await writePrivateFile(path, "first", "keep");
  await writePrivateFile(path, "second", "keep");
  expect(await readFile(path, "utf8")).toBe("first");
  await writePrivateFile(path, "third", "replace");
  expect(await readFile(path, "utf8")).toBe("third");
  expect(await readdir(join(directory, "deep"))).toEqual(["secret"]);
});

test("a private file that replaces one which others could read cannot be read by them", async () => {
  const path = join(directory, "secret");
  await writeFile(path, "open");
  await chmod(path, 0o644);
  await writePrivateFile(path, "closed", "replace");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("a private file that cannot be put in place is said to be, and nothing of it is left", async () => {
  const path = join(directory, "secret");
  await mkdir(path);
  await expect(writePrivateFile(path, "text", "replace")).rejects.toThrow();
  expect(await readdir(directory)).toEqual(["secret"]);
});

import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DirectoryError, makeDirectory } from "./make-directory.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-directory-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

const what = "the setting x";

describe("a directory", () => {
  test("is made with those above it, each with its mode, and left as it is when it is there", async () => {
    const path = join(directory, "a", "b", "c");
    await makeDirectory(path, { what, mode: 0o700 });
    for (const each of [path, join(directory, "a")]) expect((await stat(each)).mode & 0o777).toBe(0o700);
    await chmod(path, 0o755);
    await makeDirectory(path, { what, mode: 0o700 });
    expect((await stat(path)).mode & 0o777).toBe(0o755);
    await mkdir(join(directory, "target"));
    await symlink(join(directory, "target"), join(directory, "link"));
    await makeDirectory(join(directory, "link", "d"), { what });
    expect((await stat(join(directory, "target", "d"))).isDirectory()).toBe(true);
  });

  test("that many want at once is there for each of them", async () => {
    const path = join(directory, "many", "at", "once");
    await Promise.all(Array.from({ length: 20 }, () => makeDirectory(path, { what })));
    expect((await stat(path)).isDirectory()).toBe(true);
  });

  test("that cannot be made is said, with what needs it and where it ends", async () => {
    await writeFile(join(directory, "file"), "");
    await symlink(join(directory, "nothing", "there"), join(directory, "dangling"));
    const cases = ["file", "file/a", "file/a/b", "dangling", "dangling/a"];
    for (const name of cases) {
      const made = makeDirectory(join(directory, name), { what });
      await expect(made).rejects.toThrow(DirectoryError);
      await expect(made).rejects.toThrow(/^the setting x needs the directory .*no directory\. Name another place/s);
    }
  });

  test.runIf(process.platform === "linux")("is not tried without end where none can be made", async () => {
    await expect(makeDirectory("/proc/x/y", { what })).rejects.toThrow(
      "the setting x needs the directory /proc/x/y, below /proc: none can be made there. Name another place, or make it first.",
    );
  });
});

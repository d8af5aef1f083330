/** The test server ends with its owner; and the proxy cuts where it is told to. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const owner = fileURLToPath(new URL("./fixtures/own-a-postgres.ts", import.meta.url));

test("a server ends, and its data goes, when the process that started it is killed", async () => {
  const child = spawn(process.execPath, [owner], { stdio: ["ignore", "pipe", "inherit"] });
  let directory = "";
  for await (const line of createInterface({ input: child.stdout })) {
    directory = line;
    break;
  }
  expect(existsSync(path.join(directory, "data", "postmaster.pid"))).toBe(true);
  child.kill("SIGKILL");
  await expect.poll(() => existsSync(directory), { timeout: 15_000 }).toBe(false);
});

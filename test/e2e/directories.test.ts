/** Paths of the configuration below which no directory can be made: a start says so and ends, whichever setting it is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "./command.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-directories-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

// A directory that takes no others, and refuses none: Linux has one everywhere.
describe.runIf(process.platform === "linux")("a path below which nothing can be made", () => {
  test.each([
    ["WRIT_CHECKPOINTS_FILE", "/proc/x/y", "checkpoints.file needs the directory /proc/x"],
    ["WRIT_CHECKPOINTS_FILE", "/proc/x/y/z", "checkpoints.file needs the directory /proc/x/y"],
    ["WRIT_DATA_DIR", "/proc/x/y", "needs the directory /proc/x/y"],
    ["WRIT_KEYS_MASTER_KEY_FILE", "/proc/x/y", "/proc/x/y needs the directory /proc/x"],
    ["WRIT_KEYS_CHECKPOINT_KEY_FILE", "/proc/x/y", "/proc/x/y needs the directory /proc/x"],
  ])("ends the start of %s=%s with what is wrong", async (name, path, message) => {
    const env = {
      WRIT_DATA_DIR: join(directory, "data"),
      WRIT_GATEWAY_PORT: "0",
      WRIT_CONTROL_PORT: "0",
      [name]: path,
    };
    const nowhere = { adminUrl: "http://127.0.0.1:1", adminKey: "none", gatewayUrl: "http://127.0.0.1:1" };
    // One that hangs is ended by a signal, and has no code.
    const ended = await runCommand(nowhere, ["serve"], { directory, env, timeoutMs: 30_000, killSignal: "SIGKILL" });
    expect(ended.notes).toContain(message);
    expect(ended.code).toBe(2);
  });
});

/** The first start, interrupted on its way. Every 50 ms of it in a soak (`test/soak/crash.ts`). */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startWrit } from "@writ/testkit";
import { beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../e2e/rig.ts";
import { interruptFirstStart, WRIT_BIN } from "./first-start.ts";
import { until } from "./rig.ts";

/** What a whole first start takes here and now. */
let wholeMs = 0;

beforeAll(async () => {
  const writ = await startWrit({ command: "serve", databaseBy: "writ" });
  wholeMs = writ.startedInMs;
  await writ.dispose();
});

describe("a first start that is interrupted leaves nothing half-made", () => {
  test.each([
    ["SIGINT", 0.3],
    ["SIGKILL", 0.6],
    ["SIGTERM", 0.8],
    ["SIGKILL", 0.95],
  ] as const)("by %s after %d of it", async (signal, share) => {
    const { problems } = await interruptFirstStart(signal, Math.round(share * wholeMs));
    expect(problems).toEqual([]);
  });
});

test("Ctrl-C while the starter upstream does not answer ends the start without a word of failure", async () => {
  // It waited fifteen seconds for the upstream and then failed for its sake.
  const directory = await mkdtemp(join(tmpdir(), "writ-silent-upstream-"));
  const port = await freePort();
  const child = spawn(process.execPath, [WRIT_BIN, "serve", "--json"], {
    cwd: directory,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: directory,
      WRIT_GATEWAY_PORT: String(port),
      WRIT_CONTROL_PORT: "0",
      // Runs instead of the upstream, and reads without an answer.
      WRIT_UPSTREAMS_STDIO_RUNNER: "/bin/sh,-c,cat > /dev/null",
      WRIT_LOG_LEVEL: "error",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  try {
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    }
    const exited = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
    await until("the gateway is ready", 60_000, () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    child.kill("SIGINT");

    expect(await exited).toBe(0);
    expect(said).toBe("");
  } finally {
    child.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
});

/** The examples as their READMEs tell to run them, and the output that they show. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { startWrit } from "@writ/testkit";
import { expect, test } from "vitest";
import { REPOSITORY } from "./rig.ts";

const run = promisify(execFile);

test("the agent in TypeScript prints what its README shows", async () => {
  const readme = await readFile(join(REPOSITORY, "examples/agent/README.md"), "utf8");
  const shown = /```text\n(.*?)```/s.exec(readme)?.[1];
  const writ = await startWrit({ command: "serve" });
  try {
    const { stdout } = await run(process.execPath, [join(REPOSITORY, "examples/agent/agent.ts")], {
      env: {
        PATH: process.env["PATH"] ?? "",
        WRIT_MCP_URL: `${writ.gatewayUrl}/mcp/everything`,
        WRIT_TOKEN_FILE: join(writ.directory, "data/starter-token"),
      },
    });
    expect(stdout).toBe(shown);
  } finally {
    await writ.dispose();
  }
});

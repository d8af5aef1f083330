/** The commands of README, quickstart and other pages, run in their order against a Writ of each page's own, with what they promise. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { pathWithCurl, startWrit } from "@writ/testkit";
import { describe, expect, test } from "vitest";
import { readFencedBlocks } from "./fenced-blocks.ts";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const BIN = join(REPOSITORY, "packages/cli/bin/writ.mjs");
const INSPECTOR = join(
  dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json")),
  "clients/launcher/build/index.js",
);

async function shell(
  script: string,
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<{ readonly code: number | null; readonly stdout: string; readonly said: string }> {
  // What npx would run: the command that npm ci links.
  const prelude = `set -e
npx() {
  if [ "$1" = writ ]; then program="${BIN}"; else program="${INSPECTOR}"; fi
  shift
  "${process.execPath}" "$program" "$@"
}
`;
  const child = spawn("sh", ["-c", prelude + script], { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    said += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, said };
}

/** Call ids differ from run to run. */
function withoutCallId(json: string): unknown {
  return JSON.parse(json.replace(/"callId":"[0-9a-f-]{36}"/, '"callId":"…"'));
}

describe.each([
  { page: "README.md", blocksMin: 3 },
  { page: "docs/quickstart.md", blocksMin: 15 },
  { page: "docs/clients.md", blocksMin: 5 },
  { page: "docs/http.md", blocksMin: 6 },
  { page: "docs/decision-api.md", blocksMin: 7 },
  { page: "docs/observe.md", blocksMin: 9 },
])("the commands of $page", ({ page, blocksMin }) => {
  test("do what the page says, one after the other", async () => {
    const blocks = readFencedBlocks(await readFile(join(REPOSITORY, page), "utf8"));
    const commands = blocks.filter(({ language, info }) => language === "sh" && info.has("run"));
    expect(commands.length).toBeGreaterThanOrEqual(blocksMin);
    const directory = await mkdtemp(join(tmpdir(), "writ-docs-"));
    // What the page has installed with npm.
    await symlink(join(REPOSITORY, "node_modules"), join(directory, "node_modules"));
    const writ = await startWrit({ command: "serve", directory, env: { WRIT_DATA_DIR: join(directory, ".writ") } });
    try {
      const env = {
        PATH: await pathWithCurl(process.env["PATH"] ?? ""),
        HOME: directory,
        WRIT_ADMIN_URL: writ.adminUrl,
        WRIT_GATEWAY_URL: writ.gatewayUrl,
      };
      for (const { text, info, line } of commands) {
        const where = `${page}:${line}`;
        const script = text.replaceAll("http://127.0.0.1:8484", writ.gatewayUrl);
        const { code, stdout, said } = await shell(script, { cwd: directory, env });
        expect(`${where} exit ${code}\n${code === Number(info.get("exit") ?? 0) ? "" : said}`).toBe(
          `${where} exit ${info.get("exit") ?? "0"}\n`,
        );
        const says = info.get("says");
        if (says !== undefined) expect(said, where).toContain(says);
        const answer = blocks.find((block) => block.info.has("answer") && block.info.get("answer") === info.get("run"));
        if (answer !== undefined) expect(withoutCallId(stdout), where).toEqual(withoutCallId(answer.text));
      }
    } finally {
      await writ.dispose();
    }
  });
});

/** What the pages name exists: settings, reasons, events, routes, files, identifiers; and their examples hold. */
import { hash } from "node:crypto";
import { access, readdir, readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { ACTIONS, EVENTS, REASONS } from "@writ/contract";
import { ADMIN_PERMISSIONS, ADMIN_PROBLEMS, ADMIN_ROUTES, TOOL_FLAGS } from "@writ/contract/admin";
import { compileRules, runRuleTests } from "@writ/policy";
import { listSettings, loadConfig } from "@writ/runtime";
import { startWrit } from "@writ/testkit";
import { attenuateToken, decodeToken, makeTokenHash, mintToken } from "@writ/token";
import { describe, expect, test } from "vitest";
import { readFencedBlocks } from "./fenced-blocks.ts";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const GUIDE = ["README.md", "SECURITY.md", "docs/quickstart.md", "docs/concepts.md", "docs/token-format.md"].concat(
  "docs/tool-lock.md",
  "docs/http.md",
  "docs/failure-modes.md",
  "docs/operations.md",
);

const read = (page: string): Promise<string> => readFile(join(REPOSITORY, page), "utf8");

async function allPages(): Promise<readonly string[]> {
  const found: string[] = ["README.md", "SECURITY.md", "CONTRIBUTING.md"];
  for (const directory of ["docs", "examples"]) {
    const entries = await readdir(join(REPOSITORY, directory), { withFileTypes: true, recursive: true });
    for (const entry of entries) {
      if (entry.isFile() && entry.name.endsWith(".md"))
        found.push(relative(REPOSITORY, join(entry.parentPath, entry.name)));
    }
  }
  return found;
}

/** Everything in backticks, outside fenced blocks. */
function codeOf(markdown: string): readonly string[] {
  const prose = markdown.replaceAll(/^```.*?^```$/gms, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
}

/** Headings' anchors as GitHub makes them. */
function anchorsOf(markdown: string): ReadonlySet<string> {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

describe("the pages", () => {
  test("link only to what is there", async () => {
    const dead: string[] = [];
    let links = 0;
    for (const page of await allPages()) {
      for (const [, target = ""] of (await read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        links += 1;
        const [path = "", anchor] = target.split("#");
        const file = path === "" ? page : join(dirname(page), path);
        const there = await access(join(REPOSITORY, file)).then(
          () => true,
          () => false,
        );
        if (!there || (anchor !== undefined && !anchorsOf(await read(file)).has(anchor)))
          dead.push(`${page}: ${target}`);
      }
    }
    expect(dead).toEqual([]);
    expect(links).toBeGreaterThan(20);
  });

  test.each(GUIDE)("%s names only reasons, events, actions and settings that exist", async (page) => {
    const settings = listSettings();
    const dotted = new Set<string>([
      ...Object.keys(EVENTS),
      ...ACTIONS,
      ...ADMIN_PERMISSIONS,
      ...Object.keys(ADMIN_ROUTES),
      ...settings.map(({ path }) => path),
    ]);
    const codes = new Set([REASONS, ADMIN_PROBLEMS, TOOL_FLAGS].flatMap((list) => Object.keys(list)));
    const environment = new Set([
      ...settings.map((setting) => setting.environment),
      ...["WRIT_CONFIG", "WRIT_ADMIN_URL", "WRIT_ADMIN_KEY", "WRIT_GATEWAY_URL", "WRIT_TENANT", "WRIT_TOKEN"],
      ...["WRIT_MCP_URL", "WRIT_TOKEN_FILE", "WRIT_KEYS_MASTER_KEY"],
    ]);
    // Names with an underscore that are somebody else's: settings and roles of Postgres, kinds and operators of caveats.
    const others = new Set(
      ["full_page_writes", "synchronous_commit", "writ_owner", "writ_gateway", "writ_control"].concat([
        "not_tools",
        "max_length",
        "step_up",
        "wadm_",
        "writ_",
        "st_",
      ]),
    );
    const unknown: string[] = [];
    for (const code of codeOf(await read(page))) {
      if (/^[a-z]+(?:_[a-z]+)+$/.test(code)) {
        if (!codes.has(code) && !others.has(code)) unknown.push(code);
      } else if (/^[a-z]+_\*$/.test(code)) {
        if (!Object.keys(REASONS).some((reason) => reason.startsWith(code.slice(0, -1)))) unknown.push(code);
      } else if (/^WRIT_[A-Z_]+$/.test(code)) {
        if (!environment.has(code)) unknown.push(code);
      } else if (/^[a-z]+\.[a-zA-Z_]+$/.test(code) && !/\.(?:md|ts|yaml|key|json)$/.test(code)) {
        if (!dotted.has(code)) unknown.push(code);
      }
    }
    expect(unknown).toEqual([]);
  });

  test("name only routes that are served, and of the control plane those of its OpenAPI document", async () => {
    const writ = await startWrit({ command: "serve" });
    try {
      const response = await fetch(`${writ.adminUrl}/openapi.json`, {
        headers: { authorization: `Bearer ${writ.adminKey}` },
      });
      // The document, as far as it is compared.
      const document = (await response.json()) as { paths: Record<string, Record<string, { operationId: string }>> };
      const described = Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, { operationId }]) => `${operationId} ${method.toUpperCase()} ${path}`),
      );
      const contract = Object.entries(ADMIN_ROUTES).map(
        ([operation, { method, path }]) => `${operation} ${method} ${path}`,
      );
      expect(described.sort()).toEqual(contract.sort());
      const served = new Set(contract.map((line) => line.slice(line.indexOf(" ") + 1)));
      const probes = new Set(["GET /healthz", "GET /readyz"]);
      for (const page of GUIDE) {
        for (const code of codeOf(await read(page))) {
          if (!/^(?:GET|POST|PUT|PATCH|DELETE) \//.test(code) || probes.has(code) || served.has(code)) continue;
          const [method = "", path = ""] = code.split(" ");
          const { status } = await fetch(`${writ.gatewayUrl}${path}`, { method });
          // What the gateway serves asks for a token.
          expect(status, `${page}: ${code}`).toBe(401);
        }
      }
    } finally {
      await writ.dispose();
    }
  });

  test("give each promise of the threat model one identifier", async () => {
    const ids = [...(await read("SECURITY.md")).matchAll(/^- \*\*(R-[A-Z]+-\d+)\*\*/gm)].map(([, id]) => id);
    expect(ids.length).toBeGreaterThan(20);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("the examples", () => {
  test("of a production configuration is accepted", async () => {
    const block = readFencedBlocks(await read("docs/operations.md")).find(({ info }) => info.has("config"));
    const config = loadConfig({
      environment: {},
      directory: REPOSITORY,
      file: { path: join(REPOSITORY, "writ.yaml"), text: block?.text ?? "" },
    });
    expect(config.mode).toBe("production");
  });

  test("of rules are valid, and their tests pass", async () => {
    const source = readFencedBlocks(await read("docs/concepts.md")).find(({ info }) => info.has("rules"))?.text ?? "";
    const compiled = compileRules(source, { digest: hash("sha256", source) });
    if (compiled.kind !== "compiled") throw new Error(JSON.stringify(compiled));
    const results = runRuleTests(compiled);
    expect(results.length).toBe(2);
    expect(results.filter(({ kind }) => kind === "failed")).toEqual([]);
  });

  test("of a token and its child is what minting and attenuation make", async () => {
    const page = await read("docs/token-format.md");
    const blocks = readFencedBlocks(page);
    const textOf = (name: string): string => blocks.find(({ info }) => info.has(name))?.text.replaceAll("\n", "") ?? "";
    const numberOf = (name: string): string => new RegExp(`^${name} +([0-9a-f]+)$`, "m").exec(page)?.[1] ?? "";
    const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));
    const decoding = decodeToken(textOf("token"));
    if (decoding.kind !== "decoded") throw new Error(decoding.detail);
    const { token } = decoding;
    const minted = mintToken(tokenHash, {
      keyId: token.unverifiedKeyId,
      rootKey: Buffer.from(numberOf("root key"), "hex"),
      tenantId: token.unverifiedTenantId,
      id: token.unverifiedId,
      agentId: token.unverifiedAgentId,
      principalId: token.unverifiedPrincipalId,
      issuedAtMs: token.unverifiedIssuedAtMs,
      caveats: (blocks.find(({ info }) => info.has("caveats"))?.text ?? "").trim().split("\n"),
    });
    expect(minted).toEqual({ kind: "minted", token: textOf("token"), node: numberOf("node") });
    const child = attenuateToken(tokenHash, textOf("token"), {
      id: "child-1",
      caveats: ['{"calls":10}', '{"exp":1767229200}'],
    });
    expect(child).toMatchObject({ kind: "attenuated", token: textOf("child"), node: numberOf("child") });
  });
});

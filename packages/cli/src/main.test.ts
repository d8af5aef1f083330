import { hash, randomBytes } from "node:crypto";
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeToken, makeTokenHash, mintToken, nodeOf } from "@writ/token";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "./main.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-cli-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly notes: string;
}

async function run(
  argv: readonly string[],
  options: { readonly environment?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<Run> {
  let out = "";
  let notes = "";
  const code = await runCli(argv, {
    environment: options.environment ?? {},
    directory,
    terminal: { input: false, output: false, error: false },
    out: async (text) => {
      out += typeof text === "string" ? text : Buffer.from(text).toString("utf8");
    },
    note: (text) => {
      notes += text;
    },
    readInput: async () => options.input ?? "",
    nowMs: () => 1_800_000_000_000,
  });
  return { code, out, notes };
}

const tokenHash = makeTokenHash((data) => hash("sha256", data, "buffer"));

function makeToken(): string {
  const minting = mintToken(tokenHash, {
    keyId: "k",
    rootKey: randomBytes(32),
    tenantId: "t",
    id: "00112233445566778899aabbccddeeff",
    agentId: "agent-1",
    principalId: "principal-1",
    issuedAtMs: 1_800_000_000_000,
    caveats: ['{"aud":"http://writ.test"}', '{"exp":1900000000}'],
  });
  if (minting.kind !== "minted") throw new TypeError("the caveats are plain ones");
  return minting.token;
}

test("help lists every command and exits with 0", async () => {
  const { code, out } = await run(["--help"]);

  expect(code).toBe(0);
  for (const name of ["serve", "token", "audit", "admin-key"]) expect(out).toContain(`  ${name} `);
});

test("an unknown command or option exits with 2", async () => {
  expect(await run(["polcy"])).toMatchObject({ code: 2, notes: expect.stringContaining("Did you mean policy?") });
  expect((await run(["agent", "list", "--color"])).code).toBe(2);
});

test("a command of the admin API without a key says where one may come from and exits with 2", async () => {
  const { code, notes } = await run(["agent", "list"]);

  expect(code).toBe(2);
  expect(notes).toContain("WRIT_ADMIN_KEY");
});

test("an admin URL that holds credentials is refused", async () => {
  const { code, notes } = await run(["agent", "list", "--url", "http://user:pass@127.0.0.1:1"], {
    environment: { WRIT_ADMIN_KEY: "wadm_x" },
  });

  expect(code).toBe(2);
  expect(notes).not.toContain("pass@");
});

test("a control plane that does not answer exits with 3, in one sentence, or in JSON", async () => {
  const environment = { WRIT_ADMIN_KEY: "wadm_x", WRIT_ADMIN_URL: "http://127.0.0.1:1" };

  const people = await run(["agent", "list"], { environment });
  const programs = await run(["agent", "list", "--json"], { environment });

  expect(people).toMatchObject({ code: 3, out: "" });
  expect(people.notes).toMatch(/^writ: The control plane at http:\/\/127\.0\.0\.1:1 does not answer .*writ serve.*\n$/);
  expect(JSON.parse(programs.notes)).toMatchObject({ error: { code: "unreachable" } });
});

test.each([
  [401, "admin_key_invalid", 1],
  [403, "permission_missing", 1],
  [404, "not_found", 2],
  [409, "version_conflict", 2],
  [503, "database_unavailable", 3],
])("HTTP %i (%s) exits with %i and says what to do", async (status, code, exitCode) => {
  const server = createServer((_request, response) => {
    response.writeHead(status, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ code, detail: "This is so.", status }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo; // it listens on a port
    const ended = await run(["agent", "list", "--url", `http://127.0.0.1:${port}`], {
      environment: { WRIT_ADMIN_KEY: "wadm_x" },
    });

    expect(ended.code).toBe(exitCode);
    expect(ended.notes).toContain("This is so.");
    expect(ended.notes).not.toContain("    at ");
  } finally {
    server.close();
  }
});

test.each([['{"exp":1}'], ['{"exp":1800000000}']])(
  "a child that would have expired already is not made, offline or recorded: %s",
  async (caveat) => {
    for (const more of [[], ["--record", "--gateway-url", "http://127.0.0.1:1"]]) {
      const made = await run(["token", "attenuate", "--caveat", caveat, ...more], {
        environment: { WRIT_TOKEN: makeToken() },
      });
      expect(made).toMatchObject({ code: 2, out: "", notes: expect.stringContaining("have expired already") });
    }
    const later = ["token", "attenuate", "--caveat", '{"exp":1800000001}'];
    expect(await run(later, { environment: { WRIT_TOKEN: makeToken() } })).toMatchObject({ code: 0 });
  },
);

/** Of the form of a checkpoint; nobody has signed it. */
const noteOf = (epoch: number): string =>
  `writ.test/t/${epoch}\n7\n${"A".repeat(43)}=\n\n\u2014 writ.test ${"A".repeat(91)}=\n`;

test("a damaged export is damaged, also beside checkpoints of another log, and both are said", async () => {
  await writeFile(join(directory, "damaged.ndjson"), "{}\n");
  await writeFile(join(directory, "others"), `${noteOf(2)}\n`);
  const ended = await run(["audit", "verify", "--file", "damaged.ndjson", "--checkpoints", "others"]);
  expect(ended).toMatchObject({ code: 1, out: expect.stringContaining("the first line is no header") });
  expect(ended.notes).toContain("No checkpoint in others is of this log");
});

test("checkpoints are taken from a file of any size, and what of it is none is said", async () => {
  await writeFile(join(directory, "damaged.ndjson"), "{}\n");
  const kept = await open(join(directory, "large"), "w");
  await kept.write(`${noteOf(1)}\n`);
  // Nothing lies between but a hole.
  await kept.write(`\n\n${noteOf(2)}`.replaceAll("\n", "\r\n"), 257 * 1024 * 1024);
  await kept.close();
  const { code, notes } = await run(["audit", "verify", "--file", "damaged.ndjson", "--checkpoints", "large"]);
  expect({ code, notes }).toMatchObject({ code: 1, notes: expect.stringContaining("1 part(s) of large are no") });
});

test("an export that has nowhere to go ends with the connection, however long the log is", async () => {
  const closed = Promise.withResolvers<void>();
  const server = createServer((_request, response) => {
    response.once("close", closed.resolve).writeHead(200, { "content-type": "application/x-ndjson" });
    response.write("{}\n".repeat(1_000_000)); // and never the end
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo; // it listens on a port
    const argv = ["audit", "export", "--out", "nowhere/log.ndjson", "--url", `http://127.0.0.1:${port}`];

    expect(await run(argv, { environment: { WRIT_ADMIN_KEY: "wadm_x" } })).toMatchObject({
      code: 2,
      notes: expect.stringContaining("does not exist."),
    });
    await closed.promise;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}, 5_000); // sooner than garbage collection closes what nobody reads

test("an export that is refused leaves the file that is there", async () => {
  const path = join(directory, "kept.ndjson");
  await writeFile(path, "kept\n");
  const server = createServer((_request, response) => {
    response.writeHead(403, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ code: "permission_missing", detail: "This is so.", status: 403 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo; // it listens on a port
    const argv = ["audit", "export", "--out", path, "--url", `http://127.0.0.1:${port}`];

    expect((await run(argv, { environment: { WRIT_ADMIN_KEY: "wadm_x" } })).code).toBe(1);
    expect(await readFile(path, "utf8")).toBe("kept\n");
  } finally {
    server.close();
  }
});

test("a call of an upstream that cannot be had says where to look", async () => {
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.once("end", () => {
      const data = { reason: "upstream_unavailable", check: "hold", callId: "c" };
      const error = { code: -32019, message: "The upstream cannot be reached now.", data };
      response.writeHead(503, { "content-type": "application/json" });
      response.end(JSON.stringify({ jsonrpc: "2.0", id: JSON.parse(body).id, error }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo; // it listens on a port
    const argv = ["call", "slow/echo", "{}", "--no-explain", "--gateway-url", `http://127.0.0.1:${port}`];
    const { code, out, notes } = await run(argv, { environment: { WRIT_TOKEN: makeToken() } });

    expect(code).toBe(3);
    expect(out).toContain("upstream_unavailable");
    expect(notes).toContain("writ upstream review slow");
    expect(notes).toContain("upstream.stderr");
  } finally {
    server.close();
  }
});

test("attenuating offline prints the child alone, narrower and below its parent", async () => {
  const parent = makeToken();

  const { code, out, notes } = await run(["token", "attenuate", "--token-file", "-", "--id", "child", "--calls", "3"], {
    input: `${parent}\n`,
  });

  expect(code).toBe(0);
  expect(decodeToken(out.trim()).kind).toBe("decoded");
  const inspected = JSON.parse(
    (await run(["token", "inspect", "--json", "--token-file", "-"], { input: out })).out,
  ) as { unverifiedPath: readonly string[]; unverifiedSegments: readonly { caveats: readonly { text: string }[] }[] };
  const root = nodeOf(tokenHash, undefined, "00112233445566778899aabbccddeeff");
  expect(inspected.unverifiedPath).toEqual([root, nodeOf(tokenHash, root, "child")]);
  expect(inspected.unverifiedSegments[1]?.caveats.map(({ text }) => text)).toEqual(['{"id":"child"}', '{"calls":3}']);
  expect(notes).not.toContain("writ_");
});

test("a token goes to a file of mode 0600 and then not to the terminal", async () => {
  await writeFile(join(directory, "open"), "what was there", { mode: 0o644 });

  const { code, out } = await run(["token", "attenuate", "--token-file", "-", "--out", "open"], { input: makeToken() });

  expect(code).toBe(0);
  expect(out).not.toContain("writ_");
  expect((await stat(join(directory, "open"))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(directory, "open"), "utf8")).toMatch(/^writ_\S+\n$/);
});

test("a file below which no directory can be made is refused with what is wrong", async () => {
  await writeFile(join(directory, "no-directory"), "");
  const out = "no-directory/deeper/child";
  const { code, notes } = await run(["token", "attenuate", "--token-file", "-", "--out", out], { input: makeToken() });
  expect(notes).toContain(`The file ${out} needs the directory ${join(directory, "no-directory/deeper")}`);
  expect(notes).toContain("there is something that is no directory");
  expect(code).toBe(2);
});

test("a caveat that no gateway would enforce is refused before a token is made", async () => {
  const { code, out } = await run(["token", "attenuate", "--token-file", "-", "--caveat", '{"colour":"red"}'], {
    input: makeToken(),
  });

  expect({ code, out }).toEqual({ code: 2, out: "" });
});

test("what is no token is refused and not repeated", async () => {
  const { code, notes } = await run(["token", "inspect", "--token-file", "-"], { input: "writ_notatoken" });

  expect(code).toBe(2);
  expect(notes).not.toContain("notatoken");
});

const RULES = `version: 1
rules:
  - id: echo
    effect: allow
    match: { action: tool.call, tool: everything/echo }
tests:
  - name: echo is allowed
    call: { agent: a, tool: everything/echo, arguments: {} }
    expect: { allow: policy_allow }
`;

test("a valid rules file passes its tests", async () => {
  await writeFile(join(directory, "rules.yaml"), RULES);

  expect(await run(["policy", "validate", "rules.yaml"])).toMatchObject({ code: 0 });
  expect(await run(["policy", "test", "rules.yaml"])).toMatchObject({ code: 0, out: "1 passed, 0 failed.\n" });
});

test("a rules file that does not compile is answered with its place and exits with 1", async () => {
  await writeFile(join(directory, "bad.yaml"), RULES.replace("effect: allow", "effect: alow"));

  const { code, out } = await run(["policy", "validate", "bad.yaml"]);

  expect(code).toBe(1);
  expect(out).toMatch(/^bad\.yaml:4:\d+: /);
});

test("a failed test of the rules is named with its line and exits with 1", async () => {
  await writeFile(join(directory, "failing.yaml"), RULES.replace("allow: policy_allow", "deny: policy_denied"));

  const { code, out } = await run(["policy", "test", "failing.yaml"]);

  expect(code).toBe(1);
  expect(out).toMatch(/^failing\.yaml:7: failed: echo is allowed: /);
});

test("a file that does not exist is refused by its name", async () => {
  expect(await run(["policy", "test", "nowhere.yaml"])).toMatchObject({
    code: 2,
    notes: "writ: The rules file nowhere.yaml does not exist.\n",
  });
  expect(await run(["audit", "verify", "--file", "nowhere.ndjson"])).toMatchObject({ code: 2 });
});

test("an export that is none does not verify and exits with 1", async () => {
  await writeFile(join(directory, "none.ndjson"), "nothing\n");

  expect(await run(["audit", "verify", "--file", "none.ndjson"])).toMatchObject({
    code: 1,
    out: expect.stringContaining("malformed at entry 1"),
  });
});

test("a verifier key that cannot be read is refused", async () => {
  await writeFile(join(directory, "none.ndjson"), "nothing\n");

  const { code, notes } = await run(["audit", "verify", "--file", "none.ndjson", "--key", "no key"]);

  expect(code).toBe(2);
  expect(notes).not.toContain("    at ");
});

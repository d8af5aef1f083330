/**
 * trap-29: a token, and a key, in everything that a Writ says or keeps: its output at the most talkative level, the log, the
 * database's files, error bodies. What an agent supplied is looked for in the log the same way.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type Rig, startRig, statelessCall, TENANT } from "./rig.ts";

let rig: Rig | undefined;
afterAll(async () => {
  await rig?.close();
});

async function everyFile(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test("R-SECRET-1 R-SECRET-3 trap-29 a token appears in no output, error, event, export or file of the database", async () => {
  rig = await startRig({ env: { WRIT_LOG_LEVEL: "trace" } });
  const { writ, admin } = rig;
  const token = await rig.mint([{ tools: ["up/*"] }]);
  const supplied = "f2b1c9-supplied-by-an-agent-e07d";
  const bodies: string[] = [];
  const keep = async (upstream: string, bearer: string, body: string, headers = {}): Promise<void> => {
    const answer = await (rig as Rig).post(upstream, bearer, body, headers);
    bodies.push(answer.text, ...[...answer.headers].map(([name, value]) => `${name}: ${value}`));
  };
  for (const tool of ["echo", "raw", "error", "fail-after-headers", "redirect", "no-such-tool"]) {
    const { body, headers } = statelessCall(tool, { message: supplied });
    await keep("up", token, body, headers);
  }
  // The same token where it does not belong, and spoilt.
  const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}';
  for (const bearer of [token, `${token}A`, token.replace("writ_", "wadm_")]) {
    await keep("nowhere", bearer, list);
    await keep("up", bearer, `{"jsonrpc":"2.0","id":1,"method":"${bearer.slice(0, 60)}"`);
    const asked = await fetch(`${writ.adminUrl}/v1/tenants`, { headers: { authorization: `Bearer ${bearer}` } });
    bodies.push(await asked.text());
    const inUrl = await fetch(`${writ.gatewayUrl}/mcp/up?token=${bearer}`, { method: "POST", body: list });
    bodies.push(await inUrl.text());
    const inPath = await fetch(`${writ.adminUrl}/v1/tenants/${TENANT}/nodes/${bearer}`, {
      headers: { authorization: `Bearer ${writ.adminKey}` },
    });
    bodies.push(await inPath.text());
  }
  const explained = await admin.call("explain.run", {
    params: { tenant: TENANT },
    body: { token, upstream: "up", tool: "echo", argumentsText: JSON.stringify({ message: supplied }) },
  });
  bodies.push(JSON.stringify(explained));
  const events = await rig.events();
  const exported = await admin.call("audit.export", { params: { tenant: TENANT }, query: {} });
  const log = await new Response(exported).text();
  expect(events.length).toBeGreaterThan(6);
  await writ.stop();

  // The last characters hold the signature, which is what makes a token one; a prefix of it would be no secret.
  const secrets = [token.slice(-40), writ.token.slice(-40), writ.adminKey.slice(-30)];
  const scanned: [string, string][] = [
    ["standard error", writ.stderr()],
    ["bodies and headers", bodies.join("\n").replaceAll(supplied, "")],
    ["events", events.map(({ line }) => line).join("\n")],
    ["export", log],
  ];
  for (const [where, text] of scanned) {
    expect(text.length, where).toBeGreaterThan(0);
    for (const secret of secrets) expect(text.includes(secret), where).toBe(false);
  }
  for (const [where, text] of scanned) expect(text.includes(supplied), where).toBe(false);

  // The files that are meant to hold a secret are the scan's own check that it can find one.
  const files = await everyFile(join(writ.directory, "data"));
  const holding: string[] = [];
  for (const file of files) {
    const bytes = await readFile(file);
    if (secrets.some((secret) => bytes.includes(secret))) holding.push(file.slice(writ.directory.length));
    expect(bytes.includes(supplied), file).toBe(false);
  }
  expect(holding.sort()).toEqual(["/data/admin-key", "/data/starter-token"]);
});

import { createServer } from "node:net";
import { expect, test } from "vitest";
import { ConfigError } from "./config/config.ts";
import { makeAdminKey } from "./keyring/admin-key.ts";
import { listenNear } from "./listener-limits.ts";
import { createLogger } from "./logger.ts";

test("trap-29 a credential never reaches the log, wherever it stands in the line", () => {
  const lines: string[] = [];
  const log = createLogger({ level: "info", write: (line) => lines.push(line) });
  const key = makeAdminKey({
    tenantId: "019a0000-0000-7000-8000-000000000001",
    id: "019a0000-0000-7000-8000-000000000002",
    secret: new Uint8Array(32).fill(7),
  }).text;
  const token = `writ_${"AbC-_9".repeat(20)}`;
  log.info({ headers: { authorization: `Bearer ${token}` } }, `failed for ${key}`);
  log.error({ err: new Error(`bad token ${token}`), deep: { list: [token, key] } }, "x");
  log.warn(`GET /x?token=${token} Authorization: Bearer eyJhbGciOiJub25lIn0.abc`);
  const all = lines.join("");
  expect(lines.length).toBe(3);
  expect(all).not.toContain("AbC-_9");
  expect(all).not.toContain("cHBwcHBw");
  expect(all).not.toContain("eyJhbGci");
  for (const line of lines) expect(JSON.parse(line)).toHaveProperty("time");
});

test("a taken port gives way to the next one in development and stops production", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const port = (taken.address() as { port: number }).port; // a TCP server has an AddressInfo
  const servers: ReturnType<typeof createServer>[] = [];
  const listen = (wanted: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const server = createServer();
      server.once("error", reject);
      server.listen(wanted, "127.0.0.1", () => {
        servers.push(server);
        resolve(wanted);
      });
    });
  try {
    const found = await listenNear({ plane: "gateway", mode: "development", port, listen });
    expect(found.wanted).toBe(port);
    expect(found.port).toBeGreaterThan(port);
    await expect(listenNear({ plane: "gateway", mode: "production", port, listen })).rejects.toThrow(ConfigError);
  } finally {
    for (const server of [taken, ...servers]) server.close();
  }
});

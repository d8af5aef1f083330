/**
 * Bad peers at a whole Writ over real sockets: whatever they send, they get a clear 4xx or a closed connection, the
 * process stays up and small, and another client's calls go on being answered meanwhile.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Rig, startRig, statelessCall } from "../e2e/rig.ts";

interface Case {
  readonly name: string;
  /** Bytes as Latin-1, with {token}, {host}; sent on a connection of its own. */
  readonly request: string;
  /** The statuses that answer it; empty when the connection may just end. */
  readonly status: readonly number[];
}

// Data of our own.
const CASES = JSON.parse(
  readFileSync(new URL("../../cases/bad-input/requests.json", import.meta.url), "utf8"),
) as readonly Case[];
const RUNS = Number(process.env["WRIT_FUZZ_RUNS"] ?? 150);
const RSS_GROWTH_MAX_MB = 160;

let rig: Rig;
let token: string;
let host: string;
let neighbour: { stop(): Promise<number> };

beforeAll(async () => {
  rig = await startRig();
  token = await rig.mint();
  host = new URL(rig.writ.gatewayUrl).host;
});
afterAll(() => rig?.close());

/** Another client that calls all the while; resolves to how many calls were answered, and throws when one was not. */
function startNeighbour(): { stop(): Promise<number> } {
  let running = true;
  let answered = 0;
  const done = (async () => {
    while (running) {
      const { body, headers } = statelessCall("add", { a: answered, b: 1 });
      const { status, text } = await rig.post("up", token, body, headers);
      if (status !== 200 || !text.includes(String(answered + 1)))
        throw new Error(`the neighbour got ${status} ${text}`);
      answered += 1;
    }
  })();
  return {
    async stop() {
      running = false;
      await done;
      return answered;
    },
  };
}

beforeEach(() => {
  neighbour = startNeighbour();
});
afterEach(async () => {
  // At least the call that was under way ended well.
  expect(await neighbour.stop()).toBeGreaterThan(0);
});

/** Sends these bytes and returns all that comes back until the other side ends, or until the first answer's head. */
function exchange(bytes: string | Uint8Array, options: { readonly end?: boolean } = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(host.split(":")[1]), "127.0.0.1");
    let received = "";
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    };
    const timer = setTimeout(done, 3_000);
    socket.on("error", done);
    socket.on("close", done);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (received.includes("\r\n\r\n") && options.end !== true) done();
    });
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    if (options.end === true) socket.end();
  });
}

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}

function head(lines: readonly string[], body = ""): string {
  return [
    "POST /mcp/up HTTP/1.1",
    `Host: ${host}`,
    `Authorization: Bearer ${token}`,
    "Accept: application/json, text/event-stream",
    ...lines,
    "",
    body,
  ].join("\r\n");
}

describe("the data listener", () => {
  it.each(CASES)("answers $name clearly", async ({ request, status }) => {
    const answer = await exchange(request.replaceAll("{token}", token).replaceAll("{host}", host));
    const got = statusOf(answer);
    if (status.length === 0) expect(got).toBeLessThan(500);
    else expect(status, answer).toContain(got);
  });

  it("R-DENY-4 trap-43 refuses a body over the limit when it is announced, and judges no part of it", async () => {
    const before = rig.upstream.calls.length;
    const rss = await rig.writ.rssMb();
    const gigabyte = 1_000_000_000;
    const { body } = statelessCall("echo", { message: "prefix of a gigabyte" });
    const announced = head(["Content-Type: application/json", `Content-Length: ${gigabyte}`], body);
    expect(statusOf(await exchange(announced))).toBe(413);
    const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
    const streamed = head(["Content-Type: application/json", "Transfer-Encoding: chunked"]) + chunk.repeat(320);
    expect([413, 0]).toContain(statusOf(await exchange(streamed)));
    expect(rig.upstream.calls.slice(before).filter((call) => call.text.includes("prefix"))).toEqual([]);
    expect((await rig.writ.rssMb()) - rss).toBeLessThan(RSS_GROWTH_MAX_MB);
  });

  it("keeps answering while fifty clients send a byte and wait", async () => {
    const sockets = Array.from({ length: 50 }, () => {
      const socket = connect(Number(host.split(":")[1]), "127.0.0.1");
      socket.on("error", () => {});
      socket.write("POST /mcp/up HTTP/1.1\r\nHost: ");
      return socket;
    });
    const { body, headers } = statelessCall("echo", { message: "beside slow clients" });
    expect((await rig.post("up", token, body, headers)).text).toContain("beside slow clients");
    for (const socket of sockets) socket.destroy();
  });

  it("never answers arbitrary bytes, headers or bodies with a fault of its own", async () => {
    const meta = fc.constantFrom("tools/call", "tools/list", "initialize", "", "x", "\u0000");
    const body = fc.oneof(
      fc.json(),
      fc.string({ maxLength: 200 }),
      fc
        .record({ jsonrpc: fc.constantFrom("2.0", "1.0"), id: fc.jsonValue(), method: meta, params: fc.jsonValue() })
        .map((value) => JSON.stringify(value)),
    );
    const header = fc.constantFrom(
      "Content-Encoding: gzip",
      "Content-Encoding: br, gzip",
      "MCP-Protocol-Version: 1999-01-01",
      "MCP-Protocol-Version: 2026-07-28",
      "Mcp-Method: tools/call",
      "Mcp-Name: echo",
      "Mcp-Session-Id: nobody",
      "Transfer-Encoding: chunked",
      "Content-Length: 3",
      "Expect: 100-continue",
      "Content-Type: text/plain",
      "X: \u0001",
    );
    await fc.assert(
      fc.asyncProperty(body, fc.array(header, { maxLength: 3 }), fc.boolean(), async (text, extra, raw) => {
        const bytes = Buffer.from(text, "utf8");
        const lines = ["Content-Type: application/json", `Content-Length: ${bytes.length}`, ...extra];
        const answer = await exchange(raw ? bytes : Buffer.concat([Buffer.from(head(lines), "latin1"), bytes]), {
          end: true,
        });
        expect(statusOf(answer), answer).toBeLessThan(500);
      }),
      { numRuns: RUNS, seed: 20_261_121 },
    );
  });

  it("reads any Authorization header as a token or refuses it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ maxLength: 300 }),
          fc.nat(token.length - 1).map((at) => `${token.slice(0, at)}A${token.slice(at + 1)}`),
        ),
        async (text) => {
          const value = text.replace(/[^\x21-\x7e]/g, "_");
          if (value === token) return;
          const { body, headers } = statelessCall("echo", { message: "never" });
          const { status } = await rig.post("up", value === "" ? "_" : value, body, headers);
          expect(status).toBe(401);
        },
      ),
      { numRuns: RUNS, seed: 7 },
    );
  });

  it("stays small and answers others while upstreams die, babble and break off", async () => {
    const rss = await rig.writ.rssMb();
    for (const tool of ["babble", "fail-after-headers", "redirect", "cross", "babble"]) {
      const { body, headers } = statelessCall(tool, {});
      const { status } = await rig.post("up", token, body, headers);
      expect(status).toBeLessThan(600);
    }
    expect((await rig.writ.rssMb()) - rss).toBeLessThan(RSS_GROWTH_MAX_MB);
  });
});

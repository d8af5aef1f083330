import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Denial } from "../../denial.ts";
import type { AgentCall } from "../../ports.ts";
import { createDataListener } from "../../server/data-listener.ts";
import { DATA_LISTENER_LIMITS } from "../../server/limits.ts";
import { createCredentialFiles } from "../../upstream/credential-files.ts";
import { createUpstreams } from "../../upstream/upstreams.ts";
import { uriOn } from "./all-upstreams.ts";
import { createMcpRoutes } from "./mcp-routes.ts";
import { type ListLimits, readListCursor, writeListCursor } from "./merged-lists.ts";
import { createOpenGate } from "./open-gate.fixture.ts";

const REVISION = "2026-07-28";
const NAMES = ["a", "b", "c"] as const;
const LIMITS: ListLimits = { bytesMax: 2_000, shareBytesMax: 700, sharePagesMax: 3 };

/** What each upstream lists: pages of URIs. "endless": its pages go on for ever. "breaking": the first, and no other. */
type Pages = Readonly<Record<string, readonly (readonly string[])[] | "endless" | "breaking">>;
let pages: Pages = {};
/** Of the cursors that upstreams give. */
let suffix = "";
let server: Server;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString());
    if (pages[request.url?.slice(1) ?? ""] === "breaking" && params.cursor !== undefined) {
      response.writeHead(500).end();
      return;
    }
    const common = { resultType: "complete", ttlMs: 0, cacheScope: "private" };
    const result =
      method === "server/discover"
        ? { ...common, supportedVersions: [REVISION], capabilities: { resources: {} } }
        : { ...common, ...pageOf(request.url?.slice(1) ?? "", Number(params.cursor ?? 0)) };
    response.setHeader("content-type", "application/json").end(JSON.stringify({ jsonrpc: "2.0", id, result }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

function pageOf(name: string, at: number): object {
  const own = pages[name] ?? [];
  if (own === "breaking") return { resources: [{ uri: "r:0", name: "" }], nextCursor: "1" };
  const uris = own === "endless" ? [`r:${at}`] : (own[at] ?? []);
  const isLast = own !== "endless" && at + 1 >= own.length;
  return {
    resources: uris.map((uri) => ({ uri, name: uri })),
    ...(isLast ? {} : { nextCursor: `${at + 1}${suffix}` }),
  };
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Page {
  readonly uris: readonly string[];
  readonly next: string | undefined;
  readonly bytes: number;
}

/** Asks an endpoint of all upstreams for a page of their resources. */
async function startEndpoint(
  deny: (call: AgentCall) => Denial | undefined = () => undefined,
): Promise<(cursor?: string) => Promise<Page>> {
  const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
  const random = { bytes: (length: number) => randomBytes(length) };
  const upstreams = createUpstreams({
    clock,
    random,
    version: "0.1.0",
    mode: "development",
    stdioRunner: [],
    environmentFile: "",
    allowedAddresses: ["127.0.0.0/8"],
    credentialFiles: createCredentialFiles({ directory: undefined, clock }),
    childEnvironment: { path: "", home: "" },
    openEnvironment: () => ({}),
    callDeadlineMs: 20_000,
    log: () => undefined,
  });
  cleanups.push(() => upstreams.close());
  const { port: upstreamPort } = server.address() as AddressInfo;
  const common = { isolation: "shared", status: "active", timeoutMs: 20_000, concurrencyMax: 8 } as const;
  const upstream = Object.fromEntries(
    NAMES.map((name) => {
      const transport = { type: "http", url: `http://127.0.0.1:${upstreamPort}/${name}` } as const;
      return [name, { name, transport, ...common }];
    }),
  );
  const gate = createOpenGate({ upstreams, upstream, bearers: ["good"], deny });
  const listener = createDataListener({
    limits: DATA_LISTENER_LIMITS,
    allowedHosts: ["127.0.0.1"],
    allowedOrigins: [],
    notReady: () => undefined,
    log: () => undefined,
    routes: createMcpRoutes({
      gate,
      clock,
      random,
      version: "0.1.0",
      publicUrl: () => "http://127.0.0.1",
      resumeWithinMs: 0,
      listLimits: LIMITS,
    }),
  });
  const port = await listener.listen(0, "127.0.0.1");
  cleanups.push(() => listener.close());
  return async (cursor) => {
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": REVISION,
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const answer = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: "POST",
      headers: {
        authorization: "Bearer good",
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": REVISION,
        "mcp-method": "resources/list",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "resources/list", params: { _meta, cursor } }),
    });
    const text = await answer.text();
    const { result, error } = JSON.parse(text);
    if (result === undefined) throw new Error(`${answer.status} ${JSON.stringify(error)}`);
    const uris = result.resources.map(({ uri }: { uri: string }) => uri);
    return { uris, next: result.nextCursor, bytes: text.length };
  };
}

/** Of the pages below, with what is around them: URI and name of four elements. */
const PAGE_BYTES_MAX = 4 * 2 * 950 + 600;
const anyPages = fc.array(fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 4 }), { minLength: 1, maxLength: 9 });

test("whoever follows the cursors has all that every upstream lists, once and in its order", async () => {
  const list = await startEndpoint();
  await fc.assert(
    fc.asyncProperty(fc.tuple(anyPages, anyPages, anyPages), async (lists) => {
      const uris = lists.map((own) => own.map((page, at) => page.map((size, n) => `r:${at}/${n}/${"x".repeat(size)}`)));
      pages = Object.fromEntries(NAMES.map((name, at) => [name, uris[at] ?? []]));
      const found: string[] = [];
      let next: string | undefined;
      do {
        const page = await list(next);
        found.push(...page.uris);
        expect(page.bytes).toBeLessThan(LIMITS.bytesMax + PAGE_BYTES_MAX);
        next = page.next;
      } while (next !== undefined);
      for (const [at, name] of NAMES.entries()) {
        const own = found.filter((uri) => uri.startsWith(uriOn(name, "")));
        expect(own.map((uri) => uri.slice(uri.indexOf("r:")))).toEqual(uris[at]?.flat());
      }
      expect(found.length).toBe(uris.flat(2).length);
    }),
    { numRuns: 40 },
  );
});

test("what the rate refuses is not left out: the cursor leads to it, and it is what is said when there is nothing else", async () => {
  let left = 2;
  const rated: Denial = { reason: "rate_agent", detail: "", hidden: false, data: { retryAfterSeconds: 1 } };
  const unknown: Denial = { reason: "upstream_unknown", detail: "", hidden: false, data: {} };
  pages = { a: [["r:a"]], b: [["r:b"]], c: [["r:c"]] };
  const list = await startEndpoint(({ action, upstream }) => {
    if (action !== "resource.list") return undefined;
    if (upstream === "a" && left === 0) return unknown;
    left -= 1;
    return left < 0 ? rated : undefined;
  });
  const first = await list();
  expect(first.uris.map((uri) => uri.slice(-3))).toEqual(["r:a", "r:b"]);
  left = 0;
  await expect(list(first.next)).rejects.toThrow(/^429 .*rate_agent/);
  // Also behind another refusal: who asks again is told of everything.
  await expect(list()).rejects.toThrow(/^429 .*rate_agent/);
  left = 1;
  const second = await list(first.next);
  expect(second.uris.map((uri) => uri.slice(-3))).toEqual(["r:c"]);
  expect(second.next).toBeUndefined();
});

test("an upstream without an end takes its share of an answer and no more, and hides no other", async () => {
  const list = await startEndpoint();
  pages = { a: "endless", b: [["r:b"]], c: "endless" };
  const first = await list();
  expect(first.uris.filter((uri) => uri.endsWith("r:b"))).toHaveLength(1);
  expect(first.uris).toHaveLength(1 + 2 * LIMITS.sharePagesMax);
  let next = first.next;
  for (let turn = 0; turn < 5; turn += 1) {
    const page = await list(next);
    expect(page.uris).toHaveLength(2 * LIMITS.sharePagesMax);
    next = page.next;
  }
  expect(next).toBeDefined();
});

test("an upstream that breaks within its pages is not at its end there; whoever goes on finds no more", async () => {
  const list = await startEndpoint();
  pages = { a: "breaking", b: [["r:b"]] };
  const first = await list();
  expect(first.uris).toHaveLength(2);
  const second = await list(first.next);
  expect([second.uris, second.next]).toEqual([[], undefined]);
});

test("a page of very many elements is no other than one of few", async () => {
  const list = await startEndpoint();
  const many = 130_000;
  pages = { a: [Array.from({ length: many }, () => "r")], b: [["r:b"]] };
  const first = await list();
  const second = await list(first.next);
  expect([first.uris.length, second.uris]).toEqual([many, [uriOn("b", "r:b")]]);
});

test("a cursor of an upstream that no text can hold is where its list ends, and nobody else's", async () => {
  const list = await startEndpoint();
  pages = { a: "endless", b: [["r:b"]] };
  suffix = "\ud800";
  const { uris, next } = await list();
  suffix = "";
  expect([uris.length, next]).toEqual([2, undefined]);
});

test("an answer ends with the page that reaches its bytes, and goes on there", async () => {
  const list = await startEndpoint();
  const big = (name: string): readonly (readonly string[])[] => [[`r:${name}${"x".repeat(500)}`]];
  pages = { a: big("a"), b: big("b"), c: big("c") };
  const first = await list();
  const second = await list(first.next);
  expect([first.uris.length, second.uris.length, second.next]).toEqual([2, 1, undefined]);
});

test("a cursor names an upstream once, and none that its holder cannot reach is asked", async () => {
  const list = await startEndpoint();
  pages = { a: [["r:a"]], b: [["r:b"]], c: [["r:c"]] };
  const twice = Buffer.from('[["a"],["a","0"],["nowhere"],["a"]]').toString("base64url");
  expect((await list(twice)).uris).toHaveLength(1);
});

test("reads back what it writes, and nothing else", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.option(fc.string({ unit: "binary" }), { nil: undefined })),
      (position) => {
        const entries = new Map(Object.entries(position));
        expect(readListCursor(writeListCursor(entries))).toEqual(entries);
      },
    ),
  );
  for (const text of ["", "half", "{}", '["a"]', '[["a",1]]', '[["a","b","c"]]', "[[]]"]) {
    expect(readListCursor(Buffer.from(text).toString("base64url"))).toBeUndefined();
  }
});

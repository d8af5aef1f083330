import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  createDataListener,
  type DataListener,
  type DataListenerOptions,
  type Route,
  streamHeaders,
} from "./data-listener.ts";
import { DATA_LISTENER_LIMITS, type ListenerLimits } from "./limits.ts";
import { makeProblem } from "./problem.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const echo: Route = {
  method: "POST",
  pattern: "/echo/:name",
  async handle(exchange) {
    const body = await exchange.readBody();
    if (body.kind === "fault") return exchange.problem(makeProblem(body.reason));
    exchange.answer(200, { "content-type": "text/plain" }, `${exchange.params["name"]}:${body.bytes.length}`);
  },
};

interface Running {
  readonly port: number;
  readonly listener: DataListener;
}

async function start(
  limits: Partial<ListenerLimits> = {},
  routes: readonly Route[] = [echo],
  more: Partial<DataListenerOptions> = {},
): Promise<Running> {
  const listener = createDataListener({
    limits: { ...DATA_LISTENER_LIMITS, ...limits },
    allowedHosts: ["127.0.0.1", "gateway.example:8484"],
    allowedOrigins: ["https://console.example"],
    routes,
    notReady: () => undefined,
    log: () => undefined,
    ...more,
  });
  const port = await listener.listen(0, "127.0.0.1");
  cleanups.push(() => listener.close());
  return { port, listener };
}

interface Peer {
  readonly socket: Socket;
  received(): string;
  readonly closed: Promise<unknown>;
}

function dial(port: number): Peer {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += String(chunk);
  });
  socket.on("error", () => undefined);
  cleanups.push(async () => void socket.destroy());
  return {
    socket,
    received: () => text,
    closed: new Promise((resolve) => {
      socket.once("close", resolve);
    }),
  };
}

const head = (headers: string, path = "/echo/x", host = "127.0.0.1"): string =>
  `POST ${path} HTTP/1.1\r\nhost: ${host}\r\n${headers}\r\n`;

async function ask(port: number, text: string): Promise<string> {
  const peer = dial(port);
  peer.socket.end(text);
  await peer.closed;
  return peer.received();
}

describe("the data listener", () => {
  test("serves a route, with headers that keep an answer from being cached or sniffed", async () => {
    const { port } = await start();
    const answer = await ask(port, `${head("content-length: 3\r\n")}abc`);
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer).toContain("x:3");
    expect(answer.toLowerCase()).toContain("cache-control: no-store");
    expect(answer.toLowerCase()).toContain("x-content-type-options: nosniff");
  });

  test("says that it lives, and whether it is ready, to anybody under any host", async () => {
    let reason: "state_unavailable" | undefined;
    const { port } = await start({}, [], { notReady: () => reason });
    const get = (path: string): Promise<string> => ask(port, `GET ${path} HTTP/1.1\r\nhost: 10.0.0.9\r\n\r\n`);
    expect(await get("/healthz")).toMatch(/^HTTP\/1.1 200 /);
    expect(await get("/readyz")).toMatch(/^HTTP\/1.1 200 /);
    reason = "state_unavailable";
    expect(await get("/healthz")).toMatch(/^HTTP\/1.1 200 /);
    expect(await get("/readyz")).toMatch(/^HTTP\/1.1 503 [\s\S]*state_unavailable/);
    const head = (path: string): Promise<string> => ask(port, `HEAD ${path} HTTP/1.1\r\nhost: 10.0.0.9\r\n\r\n`);
    expect(await head("/healthz")).toMatch(/^HTTP\/1.1 200 [\s\S]*\r\n\r\n$/);
    expect(await head("/readyz")).toMatch(/^HTTP\/1.1 503 [\s\S]*\r\n\r\n$/);
  });

  test.each([
    ["another host", "evil.example", "", 403],
    ["a host that only begins like ours", "127.0.0.1.evil.example", "", 403],
    ["a host whose port is not the one served", "gateway.example:99", "", 403],
    ["a page of another origin", "127.0.0.1", "origin: https://evil.example\r\n", 403],
    ["a page of another port", "127.0.0.1", "origin: http://127.0.0.1:6274\r\n", 403],
    ["a page without an origin", "127.0.0.1", "origin: null\r\n", 403],
    ["a page that is allowed", "127.0.0.1", "origin: https://console.example\r\n", 200],
    ["its own page", "127.0.0.1", "origin: http://127.0.0.1\r\n", 200],
    ["its other name", "gateway.example:8484", "", 200],
    ["a second credential", "127.0.0.1", "authorization: a\r\nauthorization: b\r\n", 400],
    ["a second session", "127.0.0.1", "mcp-session-id: a\r\nMcp-Session-Id: b\r\n", 400],
  ])("a request from %s is answered as it must be", async (_name, host, headers, status) => {
    const { port } = await start();
    const answer = await ask(port, head(`content-length: 0\r\n${headers}`, "/echo/x", host));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  test.each([
    ["/echo/x?access_token=abc", "query"],
    ["/echo/x?a=b&Token=abc", "query"],
    ["/echo/x?key=abc", "query"],
    ["/echo/x?token=abc", "query"],
    ["/echo/x?q=writ_AAAA", "query"],
    ["/echo/x?q=%77rit_AAAA", "query"],
    ["/echo/x?api%5Fkey=1", "query"],
    ["/echo/x?writ_AAAA&abc", "query"],
    ["/echo/writ_AAAA", "path"],
    ["/echo/x?q=Bearer%20abc", "query"],
  ])("trap-29 refuses a credential in the URL, and says so: %s", async (path, where) => {
    const { port } = await start();
    const answer = await ask(port, head("content-length: 0\r\n", path));
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    const problem = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")));
    expect(problem).toMatchObject({ reason: "fault_request", detail: expect.stringContaining("Authorization") });
    expect(problem.detail).toContain(where);
    expect(answer).not.toContain("writ_");
    expect(answer).not.toContain("abc");
  });

  test("refuses headers that are too large or too many", async () => {
    const { port } = await start({ headersMax: 20 });
    expect(await ask(port, head(`x: ${"a".repeat(20_000)}\r\n`))).toMatch(/^HTTP\/1.1 431 [\s\S]*fault_too_large/);
    const many = Array.from({ length: 30 }, (_, n) => `x-${n}: 1\r\n`).join("");
    expect(await ask(port, head(`content-length: 0\r\n${many}`))).toMatch(/^HTTP\/1.1 431 /);
    expect(await ask(port, head("content-length: 0\r\n", `/echo/${"a".repeat(9000)}`))).toMatch(/^HTTP\/1.1 414 /);
  });

  test("refuses what is not HTTP, or has two lengths", async () => {
    const { port } = await start();
    expect(await ask(port, "nonsense\r\n\r\n")).toMatch(/^HTTP\/1.1 400 /);
    expect(await ask(port, head("content-length: 3\r\ntransfer-encoding: chunked\r\n"))).toMatch(/^HTTP\/1.1 400 /);
    expect(await ask(port, head("content-length: 3\r\ncontent-length: 4\r\n"))).toMatch(/^HTTP\/1.1 400 /);
  });

  test("refuses a body of a gigabyte without reading it", async () => {
    const { port } = await start();
    const announced = dial(port);
    announced.socket.write(head("content-length: 1073741824\r\n"));
    await announced.closed;
    expect(announced.received()).toMatch(/^HTTP\/1.1 413 [\s\S]*connection: close/i);

    const chunked = dial(port);
    chunked.socket.write(head("transfer-encoding: chunked\r\n"));
    const part = `10000\r\n${"a".repeat(65536)}\r\n`;
    let written = 0;
    while (!chunked.socket.destroyed && written < 2 ** 30) {
      written += part.length;
      if (!chunked.socket.write(part))
        await Promise.race([new Promise((resolve) => chunked.socket.once("drain", resolve)), chunked.closed]);
    }
    expect(chunked.received()).toMatch(/^HTTP\/1.1 413 /);
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  test("holds no more bytes of bodies than it may", async () => {
    const { port } = await start({ bodiesBytesMax: 1000 });
    const slow = dial(port);
    slow.socket.write(`${head("content-length: 900\r\n")}${"a".repeat(800)}`);
    await expect
      .poll(async () => ask(port, `${head("content-length: 400\r\n")}${"a".repeat(400)}`))
      .toMatch(/^HTTP\/1.1 503 /);
    slow.socket.write("a".repeat(100));
    await expect.poll(() => slow.received()).toContain("x:900");
    expect(await ask(port, `${head("content-length: 400\r\n")}${"a".repeat(400)}`)).toMatch(/^HTTP\/1.1 200 /);
  });

  test("ends a client that is too slow with its headers or its body, and serves the others", async () => {
    const { port } = await start({ headersTimeoutMs: 100, requestTimeoutMs: 150 });
    const headers = dial(port);
    headers.socket.write("POST /echo/x HTTP/1.1\r\nhost: 127");
    const body = dial(port);
    body.socket.write(`${head("content-length: 10\r\n")}abc`);
    expect(await ask(port, head("content-length: 0\r\n"))).toMatch(/^HTTP\/1.1 200 /);
    await Promise.all([headers.closed, body.closed]);
    expect(headers.received()).toMatch(/^HTTP\/1.1 408 /);
  });

  test("answers pipelined requests in order, and ends a connection that sends too many", async () => {
    const { port } = await start({ pipelinedMax: 4 });
    const answers = await ask(port, `${head("content-length: 1\r\n")}a${head("content-length: 2\r\n")}ab`);
    expect(answers.indexOf("x:1")).toBeGreaterThan(0);
    expect(answers.indexOf("x:2")).toBeGreaterThan(answers.indexOf("x:1"));
    const never: Route = { method: "POST", pattern: "/never", handle: () => new Promise(() => undefined) };
    const { port: other, listener } = await start({ pipelinedMax: 4 }, [never]);
    const flood = dial(other);
    flood.socket.write(head("content-length: 0\r\n", "/never").repeat(50));
    await flood.closed;
    await expect.poll(() => listener.running()).toBe(0);
  });

  test("keeps connections within their number", async () => {
    const { port } = await start({ connectionsMax: 2 });
    const kept = [dial(port), dial(port)];
    for (const peer of kept) peer.socket.write(head("content-length: 0\r\n"));
    await expect.poll(() => kept.every((peer) => peer.received().includes("x:0"))).toBe(true);
    const refused = dial(port);
    await refused.closed;
    expect(refused.received()).toBe("");
  });

  test("tells a route when its peer is gone", async () => {
    let gone: AbortSignal | undefined;
    const wait: Route = {
      method: "POST",
      pattern: "/wait",
      async handle(exchange) {
        gone = exchange.cut.signal;
        await once(exchange.cut.signal, "abort");
      },
    };
    const { port } = await start({}, [wait]);
    const peer = dial(port);
    peer.socket.write(head("content-length: 0\r\n", "/wait"));
    await expect.poll(() => gone).toBeDefined();
    peer.socket.destroy();
    await expect.poll(() => gone?.aborted).toBe(true);
  });

  test("cuts a reader of a stream that stops reading", async () => {
    let ended = false;
    const pour: Route = {
      method: "POST",
      pattern: "/pour",
      async handle(exchange) {
        exchange.response.writeHead(200, streamHeaders({ "content-type": "text/event-stream" }));
        while (!exchange.cut.signal.aborted) await exchange.write("x".repeat(65536));
        ended = true;
      },
    };
    const { port } = await start({ writeStallMs: 50 }, [pour]);
    const peer = dial(port);
    peer.socket.pause();
    peer.socket.write(head("content-length: 0\r\n", "/pour"));
    await expect.poll(() => ended, { timeout: 5000 }).toBe(true);
  });

  test.each(["is gone", "stops reading"])(
    "cuts nothing of a route that outlives its peer, which %s, until the drain",
    async (how) => {
      let cut: AbortSignal | undefined;
      let left = 0;
      let over: (() => void) | undefined;
      const pour: Route = {
        method: "POST",
        pattern: "/pour",
        async handle(exchange) {
          cut = exchange.cut.signal;
          exchange.response.writeHead(200, streamHeaders({ "content-type": "text/event-stream" }));
          exchange.outlive(() => {
            left += 1;
          });
          while (left === 0) await exchange.write("x".repeat(65536));
          await new Promise<void>((resolve) => {
            over = resolve;
          });
        },
      };
      const { port, listener } = await start({ writeStallMs: 50 }, [pour]);
      const peer = dial(port);
      peer.socket.write(head("content-length: 0\r\n", "/pour"));
      await expect.poll(() => peer.received().length).toBeGreaterThan(0);
      if (how === "is gone") peer.socket.destroy();
      else peer.socket.pause();
      await expect.poll(() => over).toBeDefined();
      expect(cut?.aborted).toBe(false);
      over?.();
      peer.socket.destroy();
      await listener.drain(1_000);
    },
  );

  test("a route that fails says nothing of why", async () => {
    const broken: Route = { method: "POST", pattern: "/broken", handle: () => Promise.reject(new Error("a secret")) };
    const { port } = await start({}, [broken]);
    const answer = await ask(port, head("content-length: 0\r\n", "/broken"));
    expect(answer).toMatch(/^HTTP\/1.1 500 [\s\S]*internal_error/);
    expect(answer).not.toContain("secret");
  });

  test("names the methods of a path, and says so when there is no such path", async () => {
    const { port } = await start();
    expect(await ask(port, "GET /echo/x HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")).toMatch(
      /^HTTP\/1.1 405 [\s\S]*allow: POST/i,
    );
    expect(await ask(port, head("content-length: 0\r\n", "/echo/x/y"))).toMatch(/^HTTP\/1.1 404 /);
    expect(await ask(port, head("content-length: 0\r\n", "/echo/..%2fhealthz"))).toMatch(/^HTTP\/1.1 404 /);
  });

  test("drains: takes no new connection, lets what runs end, and cuts what does not", async () => {
    const finishers: (() => void)[] = [];
    let cut = 0;
    const wait: Route = {
      method: "POST",
      pattern: "/wait",
      async handle(exchange) {
        exchange.cut.signal.addEventListener("abort", () => {
          cut += 1;
        });
        // What outlives its peer does not outlive the drain.
        exchange.outlive(() => undefined);
        await new Promise<void>((resolve) => finishers.push(resolve));
        exchange.answer(200, {}, "done");
      },
    };
    const { port, listener } = await start({}, [wait]);
    const first = dial(port);
    const second = dial(port);
    for (const peer of [first, second]) peer.socket.write(head("content-length: 0\r\n", "/wait"));
    await expect.poll(() => finishers.length).toBe(2);
    const drained = listener.drain(200);
    finishers[0]?.();
    await expect.poll(() => first.received() + second.received()).toContain("done");
    expect(await ask(port, head("content-length: 0\r\n", "/wait"))).toBe("");
    await drained;
    expect(cut).toBe(1);
    finishers[1]?.();
  });
});

import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Reason } from "@writ/contract";
import { afterEach, describe, expect, test } from "vitest";
import { ask, closeDoors, get, head, hello, openDoor } from "./http-door.fixture.ts";

afterEach(closeDoors);

describe("the HTTP door", () => {
  test("passes a request on below the base URL, and its answer with the call's id", async () => {
    const door = await openDoor((_request, response) => {
      response.writeHead(201, { "x-own": "1", "content-type": "text/plain" }).end("made");
    });
    const body = '{"name":"lamp","price":12.50}';
    const answer = await ask(
      door,
      head("POST /http/shop/v1/items?dry=1", `content-type: application/json\r\ncontent-length: ${body.length}\r\n`) +
        body,
    );
    expect(answer).toMatch(/^HTTP\/1.1 201 /);
    expect(answer).toMatch(/\r\nwrit-call-id: [0-9a-f-]{36}\r\n/i);
    expect(answer).toMatch(/\r\nx-own: 1\r\n/);
    expect(answer).toMatch(/\r\n\r\n(?:4\r\n)?made/);
    expect(door.seen).toMatchObject([{ method: "POST", url: "/base/v1/items?dry=1", body }]);
    expect(door.gate.calls[0]).toMatchObject({
      action: "http.request",
      http: { target: { method: "POST", path: "/v1/items", query: "dry=1" } },
      argumentsText: body,
    });
  });

  test("never sends the agent's credential, cookies or word about who asks upstream", async () => {
    const door = await openDoor();
    await get(
      door,
      "/a",
      "cookie: s=1\r\nx-forwarded-for: 10.0.0.1\r\nX_Forwarded_Host: evil\r\nforwarded: for=x\r\norigin: http://127.0.0.1\r\nkeep-alive: 5\r\nte: trailers\r\nproxy-authorization: x\r\nwrit-call-id: forged\r\nx-kept: yes\r\n",
    );
    const headers: IncomingMessage["headers"] = door.seen[0]?.headers ?? {};
    expect(JSON.stringify(headers)).not.toMatch(/writ_good|forged|evil|10\.0\.0\.1|s=1/);
    expect(headers).toMatchObject({ "x-kept": "yes", "accept-encoding": "identity" });
    expect(Object.keys(headers).sort()).toEqual(["accept-encoding", "connection", "host", "x-kept"]);
    expect(headers.host).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test("trap-37 an invented credential, or none, is no identity", async () => {
    const door = await openDoor();
    const bare = (headers: string): Promise<string> =>
      ask(door, `GET /http/shop/a HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}\r\n`);
    expect(await bare("")).toMatch(/^HTTP\/1.1 401 [\s\S]*www-authenticate: Bearer/i);
    expect(await bare("authorization: Bearer writ_invented\r\n")).toMatch(/^HTTP\/1.1 401 /);
    expect(await bare("authorization: Basic YTpi\r\n")).toMatch(/^HTTP\/1.1 401 /);
    expect(door.seen).toEqual([]);
  });

  test.each<[Reason, number]>([
    ["budget_exhausted", 402],
    ["policy_denied", 403],
    ["route_unknown", 404],
    ["rate_denials", 429],
    ["upstream_unavailable", 503],
  ])("a denial for %s is told as a problem with status %d", async (deny, status) => {
    const door = await openDoor(hello, { deny });
    const answer = await get(door, "/a");
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(/content-type: application\/problem\+json/i);
    expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toMatchObject({ reason: deny, status });
    expect(answer).toMatch(/writ-call-id: /i);
    expect(answer.match(/retry-after: \d+/i) !== null).toBe(status === 429 || status === 503);
    expect(door.seen).toEqual([]);
  });

  test.each([
    [
      "an upgrade",
      head("GET /http/shop/ws", "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"),
      501,
      "fault_upgrade",
    ],
    ["TRACE", head("TRACE /http/shop/a"), 405, "fault_method"],
    ["an escaped slash", head("GET /http/shop/a%2fb"), 400, "fault_target"],
    ["a path parameter behind dots", head("GET /http/shop/a/..;/b"), 400, "fault_target"],
    ["a path that climbs out of the upstream", head("GET /http/shop/../bank/a"), 400, "fault_target"],
    ["a method override", head("POST /http/shop/a", "x-http-method-override: DELETE\r\n"), 400, "fault_header"],
    [
      "a method override that is spelt for CGI",
      head("POST /http/shop/a", "X_HTTP_Method_Override: DELETE\r\n"),
      400,
      "fault_header",
    ],
    [
      "another path beside the one that is judged",
      head("GET /http/shop/a", "x-original-url: /admin\r\n"),
      400,
      "fault_header",
    ],
    [
      "a header that would be lost",
      head("GET /http/shop/a", "connection: close, content-type\r\n"),
      400,
      "fault_header",
    ],
    [
      "a body that would mean nothing to some",
      `${head("GET /http/shop/a", "content-length: 1\r\n")}x`,
      400,
      "fault_request",
    ],
    [
      "JSON that can be read in two ways",
      `${head("POST /http/shop/a", "content-type: application/json\r\ncontent-length: 13\r\n")}{"a":1,"a":2}`,
      400,
      "fault_json",
    ],
    [
      "JSON in another charset",
      `${head("POST /http/shop/a", "content-type: application/json; charset=utf-16\r\ncontent-length: 2\r\n")}{}`,
      415,
      "fault_media_type",
    ],
    ...[
      "utf-8; charset=utf-7",
      "utf-8; charset =utf-7",
      "utf-8; charset*=utf-8''utf-7",
      '"utf-8"; x="charset=utf-7"',
    ].map((charset): [string, string, number, string] => [
      `JSON in charset=${charset}`,
      `${head("POST /http/shop/a", `content-type: application/json; charset=${charset}\r\ncontent-length: 2\r\n`)}{}`,
      415,
      "fault_media_type",
    ]),
    [
      "a coded body",
      head("POST /http/shop/a", "content-encoding: gzip\r\ncontent-length: 2\r\n"),
      415,
      "fault_media_type",
    ],
    ["another host", "GET /http/shop/a HTTP/1.1\r\nhost: evil.example\r\n\r\n", 403, "fault_origin"],
  ])("refuses %s, and nothing is sent", async (_name, text, status, reason) => {
    const door = await openDoor();
    const answer = await ask(door, text);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*"reason":"${reason}"`));
    expect(door.seen).toEqual([]);
    expect(door.gate.calls).toEqual([]);
  });

  test.each([
    ["two hosts", "host: 127.0.0.1\r\n"],
    ["two lengths", "content-length: 1\r\ncontent-length: 2\r\n"],
    ["a length beside chunks", "content-length: 1\r\ntransfer-encoding: chunked\r\n"],
    ["chunks that are coded", "transfer-encoding: gzip, chunked\r\n"],
    ["an unknown transfer coding", "transfer-encoding: xchunked\r\n"],
    ["a transfer coding spelt with a space", "transfer-encoding : chunked\r\n"],
    ["a folded header", "x-a: b\r\n c: d\r\n"],
    ["a length with a sign", "content-length: +1\r\n"],
  ])("a request with %s reaches nobody, nor does what is smuggled behind it", async (_name, headers) => {
    const door = await openDoor();
    const smuggled = head("GET /http/shop/smuggled");
    const answer = await ask(door, `${head("POST /http/shop/a", headers)}0\r\n\r\n${smuggled}`);
    expect(answer).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(door.seen).toEqual([]);
  });

  test("trap-43 a JSON body that is larger than the limit is refused, never judged in part", async () => {
    const door = await openDoor(hello, { limits: { bodyBytesMax: 100 } });
    const body = JSON.stringify({ a: "x".repeat(200) });
    const json = "content-type: application/vnd.api+json\r\n";
    const announced = head("POST /http/shop/a", `${json}content-length: ${body.length}\r\n`) + body;
    expect(await ask(door, announced)).toMatch(/^HTTP\/1.1 413 /);
    const chunked = `${head("POST /http/shop/a", `${json}transfer-encoding: chunked\r\n`)}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    expect(await ask(door, chunked)).toMatch(/^HTTP\/1.1 413 /);
    expect(door.seen).toEqual([]);
  });

  test("passes a body that is no JSON on as it comes, as one of which nobody has seen the arguments", async () => {
    const door = await openDoor((_request, response, body) => void response.end(body));
    const chunked = `${head("PUT /http/shop/a", "transfer-encoding: chunked\r\ncontent-type: text/plain\r\n")}3\r\nabc\r\n4\r\n{"a"\r\n0\r\n\r\n`;
    expect(await ask(door, chunked)).toMatch(/\r\n\r\n(?:7\r\n)?abc\{"a"/);
    expect(door.seen).toMatchObject([{ method: "PUT", body: 'abc{"a"' }]);
    expect(door.gate.calls[0]).toMatchObject({ argumentsUnseen: true, argumentsText: "" });
  });

  test("asks for a body that waits for it only when the request is allowed", async () => {
    const waiting = head("PUT /http/shop/a", "expect: 100-continue\r\ncontent-length: 3\r\n");
    const denied = await openDoor(hello, { deny: "policy_denied" });
    expect(await ask(denied, waiting)).toMatch(/^HTTP\/1.1 403 /);
    const door = await openDoor();
    expect(await ask(door, `${waiting}abc`)).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
  });

  test("trap-07 takes an idempotency key, which is not the agent's to send on, and refuses what is none", async () => {
    const door = await openDoor();
    expect(await get(door, "/a", 'Idempotency-Key: "order 7"\r\n')).toMatch(/^HTTP\/1.1 200 /);
    expect(door.gate.calls[0]?.idempotencyKey).toBe("order 7");
    expect(JSON.stringify(door.seen[0]?.headers)).not.toContain("order 7");
    const answer = await get(door, "/a", "idempotency-key: a\r\nidempotency-key: b\r\n");
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain("fault_header");
    expect(door.gate.calls.length).toBe(1);
  });

  test("trap-20 a redirect is never followed: below the base URL it is passed on, elsewhere it is refused", async () => {
    const to = async (location: string, status = 302): Promise<string> => {
      const door = await openDoor((_request, response) => {
        response.writeHead(status, { location: location.replace("SELF", response.req.headers.host ?? "") }).end();
      });
      const answer = await get(door, "/a");
      expect(door.seen).toHaveLength(1);
      return `${answer.slice(9, 12)} ${/\r\nlocation: (.*)\r\n/i.exec(answer)?.[1] ?? "none"}`;
    };
    expect(await to("/base/b?c=1")).toBe("302 /http/shop/b?c=1");
    expect(await to("http://SELF/base/b#d")).toBe("302 /http/shop/b");
    expect(await to("/other")).toBe("502 none");
    expect(await to("/base/../other")).toBe("502 none");
    expect(await to("//evil.example/base/b")).toBe("502 none");
    expect(await to("http://evil.example/base/b", 307)).toBe("502 none");
    expect(await to("http://SELF@evil.example/base/b", 308)).toBe("502 none");
    expect(await to("javascript:alert(1)", 303)).toBe("502 none");
    expect(await to("http://evil.example/made", 201)).toBe("201 none");
  });

  test("trap-42 an answer that nobody could look into is refused, whatever its type and status", async () => {
    for (const [status, type] of [
      [200, "application/json"],
      [404, "text/html"],
      [206, "application/octet-stream"],
    ] as const) {
      const door = await openDoor((_request, response) => {
        response.writeHead(status, { "content-type": type, "content-encoding": "gzip" }).end("xxxx");
      });
      expect(await get(door, "/a", "accept-encoding: gzip\r\n")).toMatch(/^HTTP\/1.1 502 /);
    }
  });

  test("keeps what is the upstream's own business from its agents", async () => {
    const door = await openDoor((_request, response) => {
      response
        .writeHead(200, [
          ...["set-cookie", "s=1", "alt-svc", "h3", "access-control-allow-origin", "*", "writ-call-id", "forged"],
          ...["strict-transport-security", "max-age=1", "refresh", "0; url=x", "connection", "x-hop", "x-hop", "1"],
          ...["cache-control", "public", "vary", "a", "vary", "b"],
        ])
        .end();
    });
    const answer = await get(door, "/a");
    expect(answer).not.toMatch(/set-cookie|alt-svc|access-control|forged|strict-transport|refresh|x-hop|public/i);
    expect(answer).toMatch(/cache-control: no-store/i);
    expect(answer.match(/vary: [ab]/gi)).toHaveLength(2);
  });

  test("answers HEAD with the length and without a body", async () => {
    const door = await openDoor((_request, response) => void response.writeHead(200, { "content-length": "5" }).end());
    const answer = await ask(door, head("HEAD /http/shop/a"));
    expect(answer).toMatch(/^HTTP\/1.1 200 [\s\S]*content-length: 5\r\n/i);
    expect(answer.endsWith("\r\n\r\n")).toBe(true);
  });

  test("an answer that breaks off ends the connection, so that no part of it is taken for the whole", async () => {
    const door = await openDoor((_request, response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      response.write("part", () => response.destroy());
    });
    const answer = await get(door, "/a");
    expect(answer).toContain("part");
    expect(answer).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(door.gate.ends).toMatchObject([{ kind: "broken" }]);
  });

  test("cuts an answer that is larger than its limit", async () => {
    const door = await openDoor((_request, response) => void response.end("x".repeat(5000)), { bodyBytesMax: 1000 });
    expect(await get(door, "/a")).not.toContain("x".repeat(1001));
    expect(door.gate.ends).toMatchObject([{ kind: "broken" }]);
  });

  test("a slow reader slows the upstream down, and the gateway holds little of what lies between", async () => {
    let written = 0;
    const door = await openDoor((_request, response) => {
      const more = (): void => {
        while (written < 64 * 1024 * 1024) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    });
    const socket = connect(door.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.pause();
    socket.write(head("GET /http/shop/a"));
    let last = -1;
    const moves = (): boolean => {
      const before = last;
      last = written;
      return written === 0 || written !== before;
    };
    await expect.poll(moves, { interval: 200, timeout: 10_000 }).toBe(false);
    expect(written).toBeLessThan(32 * 1024 * 1024);
    socket.destroy();
    await expect.poll(() => door.gate.ends).toMatchObject([{ kind: "broken" }]);
  });

  test("uses a connection again, and makes no new one behind a call that it has committed", async () => {
    const sockets = new Set<unknown>();
    const door = await openDoor((request, response) => {
      sockets.add(request.socket);
      response.end("hello");
    });
    for (let count = 0; count < 5; count += 1) expect(await get(door, "/a")).toContain("hello");
    expect(sockets.size).toBe(1);
  });
});

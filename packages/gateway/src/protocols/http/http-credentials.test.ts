/** What an HTTP API gets to authenticate Writ, and that nobody else does. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Answer, closeDoors, type Door, get, openDoor } from "./http-door.fixture.ts";

const SECRET = "sk-live/Zq9+x7A=!";
let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "writ-credentials-"));
  await put("shop", SECRET);
});
afterAll(() => rm(directory, { recursive: true, force: true }));
afterEach(closeDoors);

async function put(file: string, value: string): Promise<void> {
  await writeFile(join(directory, file), `${value}\n`, { mode: 0o600 });
}

const credentials = [
  { in: "header", name: "X-Api-Key", file: "shop" },
  { in: "header", name: "Authorization", prefix: "Bearer ", file: "shop" },
  { in: "query", name: "key", file: "shop" },
] as const;

const open = (answer?: Answer, monotonicMs?: () => number): Promise<Door> =>
  openDoor(answer, { credentials, directory, ...(monotonicMs === undefined ? {} : { monotonicMs }) });

/** What the agent got of the body, chunks put together. */
function bodyOf(answer: string): string {
  const [head = "", ...rest] = answer.split("\r\n\r\n");
  const text = rest.join("\r\n\r\n");
  return /transfer-encoding: chunked/i.test(head) ? text.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, "") : text;
}

describe("an HTTP API with credentials", () => {
  test("R-SECRET-2 gets them in place of whatever the agent sent there", async () => {
    const door = await open();
    await get(
      door,
      "/a?b=1",
      "x-api-key: mine\r\nX_Api_Key: mine\r\nx-kept: yes\r\nrange: bytes=0-3\r\nif-range: x\r\n",
    );
    const { headers = {}, url } = door.seen[0] ?? {};
    expect(url).toBe(`/base/a?b=1&key=${encodeURIComponent(SECRET)}`);
    expect(headers).toMatchObject({ "x-api-key": SECRET, authorization: `Bearer ${SECRET}`, "x-kept": "yes" });
    expect(JSON.stringify(headers)).not.toMatch(/mine|writ_good|range/);
  });

  test("R-SECRET-4 never gives them to the agent: not in a body in pieces, nor in a header", async () => {
    const door = await open((request, response) => {
      const told = `${request.url} ${JSON.stringify(request.headers)}`;
      const all = `${told} ${Buffer.from(told).toString("base64")} ${encodeURIComponent(told)}`;
      response.writeHead(200, { "x-told": told, "content-length": String(all.length) });
      const write = (at: number): void => {
        if (at >= all.length) return void response.end();
        response.write(all.slice(at, at + 7), () => write(at + 7));
      };
      write(0);
    });
    const answer = await get(door, "/a");
    const length = Number(/content-length: (\d+)/i.exec(answer)?.[1]);
    expect(bodyOf(answer).length).toBe(length);
    expect(answer).toMatch(/x-told: .*\*{3}/);
    for (const form of [SECRET, encodeURIComponent(SECRET), Buffer.from(SECRET).toString("base64").slice(0, 20)]) {
      expect(answer).not.toContain(form);
    }
    expect(bodyOf(answer)).toContain(`Bearer ${"*".repeat(SECRET.length)}`);
    const words = bodyOf(answer).split(" ");
    expect(Buffer.from(words.at(-2) ?? "", "base64").toString("latin1")).not.toContain(SECRET.slice(2, -2));
  });

  test("has its answers passed on to the last byte, also where that could begin a credential", async () => {
    const door = await open((_request, response) => void response.end(`ends with ${SECRET.slice(0, 6)}`));
    expect(bodyOf(await get(door, "/a"))).toBe("ends with sk-liv");
  });

  test("trap-42 has every representation looked into or refused", async () => {
    const coded = await open((_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(SECRET));
    });
    expect(await get(coded, "/a")).toMatch(/^HTTP\/1.1 502 [\s\S]*"reason":"upstream_failed"/);
    const part = await open((_request, response) => {
      response.writeHead(206, { "content-range": "bytes 0-3/17" }).end(SECRET.slice(0, 4));
    });
    expect(await get(part, "/a")).toMatch(/^HTTP\/1.1 502 /);
    const transferred = await open((_request, response) => {
      const body = gzipSync(SECRET);
      response.socket?.write("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n");
      response.socket?.write(`${body.length.toString(16)}\r\n`);
      response.socket?.write(body);
      response.socket?.end("\r\n0\r\n\r\n");
    });
    expect(await get(transferred, "/a")).toMatch(/^HTTP\/1.1 502 /);
  });

  test("is passed on where it moves, without the parameter that is set for it", async () => {
    const door = await open((request, response) => {
      response.writeHead(301, { location: `/base/b/?a=1&KEY=x&${request.url?.split("?")[1]}` }).end();
    });
    expect(/\r\nlocation: (.*)\r\n/i.exec(await get(door, "/b"))?.[1]).toBe("/http/shop/b/?a=1");
  });

  test("gets a new value once its file has another, and the former one stays masked", async () => {
    let nowMs = 0;
    await put("shop", "former-value-1");
    const door = await open(
      (_request, response) => void response.end("former-value-1 later-value-22"),
      () => nowMs,
    );
    expect(bodyOf(await get(door, "/a"))).toBe(`${"*".repeat(14)} later-value-22`);
    await put("shop", "later-value-22");
    nowMs += 2_000;
    expect(bodyOf(await get(door, "/a"))).toBe(`${"*".repeat(14)} ${"*".repeat(14)}`);
    expect(door.seen.map(({ headers }) => headers["x-api-key"])).toEqual(["former-value-1", "later-value-22"]);
    await put("shop", SECRET);
  });

  test("is not called at all without them", async () => {
    const door = await openDoor(undefined, {
      credentials: [{ in: "header", name: "X-Api-Key", file: "none" }],
      directory,
    });
    await expect(get(door, "/a")).resolves.not.toMatch(/^HTTP\/1.1 200/);
    expect(door.seen).toEqual([]);
  });
});

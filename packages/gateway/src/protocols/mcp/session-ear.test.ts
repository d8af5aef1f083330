import { afterEach, expect, test } from "vitest";
import { createDataListener, type DataListener } from "../../server/data-listener.ts";
import { DATA_LISTENER_LIMITS } from "../../server/limits.ts";
import { createKeepAlive } from "./keep-alive.ts";
import { createSessionEar, type SessionEar } from "./session-ear.ts";

const listeners: DataListener[] = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
});

async function start(firstId?: number): Promise<{ readonly ear: SessionEar; readonly url: string }> {
  const keepAlive = createKeepAlive({ nowMs: () => 0, monotonicMs: () => performance.now() }, 60_000);
  const ear = createSessionEar(keepAlive, firstId);
  const listener = createDataListener({
    limits: DATA_LISTENER_LIMITS,
    allowedHosts: ["127.0.0.1"],
    allowedOrigins: [],
    notReady: () => undefined,
    log: () => undefined,
    routes: [
      {
        method: "GET",
        pattern: "/ear",
        handle: (exchange) => ear.attach(exchange, exchange.request.headers["last-event-id"] as string | undefined),
      },
    ],
  });
  listeners.push(listener);
  return { ear, url: `http://127.0.0.1:${await listener.listen(0, "127.0.0.1")}/ear` };
}

interface Hearing {
  /** The stream's text as soon as it has this. */
  until(text: string): Promise<string>;
  /** All of it, when it has ended. */
  end(): Promise<string>;
  leave(): void;
}

async function hear(url: string, lastEventId?: string): Promise<Hearing> {
  const cut = new AbortController();
  const headers: Record<string, string> = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const response = await fetch(url, { headers, signal: cut.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let heard = "";
  const read = async (): Promise<boolean> => {
    const part = await reader?.read();
    heard += part?.value ?? "";
    return part?.done === true;
  };
  return {
    async until(text) {
      while (!heard.includes(text)) if (await read()) throw new Error(`ended: ${heard}`);
      return heard;
    },
    async end() {
      while (!(await read()));
      return heard;
    },
    leave: () => cut.abort(),
  };
}

test("what is said while the client is away is there when it takes the stream up where it stopped", async () => {
  const { ear, url } = await start();
  const first = await hear(url);
  ear.say('{"n":1}');
  ear.say('{"n":\n2}');
  expect(await first.until("2}")).toBe(
    'id: 1\nevent: message\ndata: {"n":1}\n\nid: 2\nevent: message\ndata: {"n":\ndata: 2}\n\n',
  );
  first.leave();
  await expect.poll(() => ear.attached()).toBe(false);
  ear.say('{"n":3}');
  const second = await hear(url, "1");
  ear.say('{"n":4}');
  const text = await second.until('{"n":4}');
  expect(text.match(/^id: .*/gm)).toEqual(["id: 2", "id: 3", "id: 4"]);
  expect(ear.closed.aborted).toBe(false);
});

test("a client that lost its ear hears what the next one is told, with the id that it had from the last", async () => {
  const lost = await start();
  lost.ear.say('{"n":1}');
  lost.ear.say('{"n":2}');
  lost.ear.close();
  const { ear, url } = await start(lost.ear.nextId());
  const first = await hear(url, "2");
  first.leave();
  await expect.poll(() => ear.attached()).toBe(false);
  ear.say('{"n":3}');
  const second = await hear(url, "2");
  expect((await second.until('{"n":3}')).match(/^id: .*/gm)).toEqual(["id: 3"]);
});

test("who comes without a place to begin, or with one that was never given, hears what is said from then on", async () => {
  const { ear, url } = await start();
  ear.say('{"n":1}');
  for (const [from, id] of [
    [undefined, "id: 2"],
    ["x", "id: 3"],
    ["-1", "id: 4"],
  ] as const) {
    const hearing = await hear(url, from);
    ear.say('{"n":0}');
    expect((await hearing.until('{"n":0}')).match(/^id: .*/gm)).toEqual([id]);
    hearing.leave();
    await expect.poll(() => ear.attached()).toBe(false);
  }
});

test("a second stream takes the place of the first, which ends", async () => {
  const { ear, url } = await start();
  const first = await hear(url);
  const second = await hear(url);
  ear.say("{}");
  expect(await first.end()).toBe("");
  expect(await second.until("{}")).toContain("id: 1");
});

test("keeps a bounded number of messages, the newest", async () => {
  const { ear, url } = await start();
  for (let count = 0; count < 1_000; count += 1) ear.say("{}");
  ear.say('{"last":true}');
  const ids = (await (await hear(url, "0")).until("last")).match(/^id: .*/gm) ?? [];
  expect(ids.length).toBe(256);
  expect(ids.at(-1)).toBe("id: 1001");
});

test("ends with its closing", async () => {
  const { ear, url } = await start();
  const hearing = await hear(url);
  ear.close();
  expect(await hearing.end()).toBe("");
});

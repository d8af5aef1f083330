import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { buildConnector } from "undici";
import { afterEach, describe, expect, test } from "vitest";
import { type ApiConnections, createApiConnections } from "./api-connections.ts";

const never = new AbortController().signal;
const LONG_MS = 60_000;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Answers each request with the number of its connection, and remembers its sockets. */
async function startApi(): Promise<{ readonly url: URL; readonly sockets: readonly Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const body = String(sockets.push(socket) - 1);
    socket.on("error", () => undefined);
    socket.on("data", () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return { url: new URL(`http://127.0.0.1:${port}`), sockets };
}

function makeConnections(url: URL, idleMs = LONG_MS): ApiConnections {
  const connections = createApiConnections({ url, connect: buildConnector({}), idleMs });
  cleanups.push(() => connections.close());
  return connections;
}

type Connection = Awaited<ReturnType<ApiConnections["take"]>>;

/** Which of the API's connections answered; rejects when none did. */
function ask(connection: Connection): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const handler = {
      onRequestStart: () => undefined,
      onResponseStart: () => undefined,
      onResponseData: (_: unknown, chunk: Buffer) => {
        text += chunk.toString();
      },
      onResponseEnd: () => resolve(text),
      onResponseError: (_: unknown, error: Error) => reject(error),
    };
    connection.dispatch({ method: "GET", path: "/", headers: [] }, handler);
  });
}

/** Ways in which a server ends a connection that it has waited for long enough. Each resolves when it is on its way. */
const ENDINGS: Readonly<Record<string, (socket: Socket) => Promise<unknown>>> = {
  "a FIN": (socket) => {
    socket.end();
    return once(socket, "finish");
  },
  "a 408 and a FIN": (socket) => {
    socket.end("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n");
    return once(socket, "finish");
  },
  "an answer that nobody asked for": (socket) =>
    new Promise((resolve) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", resolve)),
  "a reset": (socket) => {
    socket.resetAndDestroy();
    return once(socket, "close");
  },
};

describe.each(Object.entries(ENDINGS))("a connection that its server has ended with %s", (_, endBy) => {
  test("is replaced where it never carried a request", async () => {
    const { url, sockets } = await startApi();
    const connections = makeConnections(url);
    const held = [await connections.take(never), await connections.take(never), await connections.take(never)];
    for (const each of held) connections.giveBack(each);
    await expect.poll(() => sockets.length).toBe(3);
    await Promise.all(sockets.map(endBy));
    expect(await ask(await connections.take(never))).toBe("3");
  });

  test("is replaced where it carried one", async () => {
    const { url, sockets } = await startApi();
    const connections = makeConnections(url);
    const first = await connections.take(never);
    expect(await ask(first)).toBe("0");
    connections.giveBack(first);
    await Promise.all(sockets.map(endBy));
    expect(await ask(await connections.take(never))).toBe("1");
  });

  test("takes no request that comes too late, and passes on no answer to one", async () => {
    const { url, sockets } = await startApi();
    const held = await makeConnections(url).take(never);
    await expect.poll(() => sockets.length).toBe(1);
    await Promise.all(sockets.map(endBy));
    await expect.poll(() => ask(held).then(String, () => "none")).toBe("none");
  });
});

test("a connection is used again, whether it has carried a request or not", async () => {
  const { url } = await startApi();
  const connections = makeConnections(url);
  const told: string[] = [];
  connections.giveBack(await connections.take(never));
  for (let count = 0; count < 3; count += 1) {
    const connection = await connections.take(never);
    told.push(await ask(connection));
    connections.giveBack(connection);
    connections.giveBack(await connections.take(never));
  }
  expect(told).toEqual(["0", "0", "0"]);
});

test("a connection that carries nothing is ended, counted from when it opened and not from when it was given back", async () => {
  const { url, sockets } = await startApi();
  const connections = makeConnections(url, 50);
  const held = await connections.take(never);
  connections.giveBack(await connections.take(never));
  // The one that opened later has had its time; the other outlives it only while it is held.
  await expect.poll(() => sockets[1]?.destroyed).toBe(true);
  expect(sockets[0]?.destroyed).toBe(false);
  connections.giveBack(held);
  const next = await connections.take(never);
  expect(await ask(next)).toBe("2");
  connections.giveBack(next);
  await expect.poll(() => sockets.map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
});

test("what is closed leaves no socket open, used or not", async () => {
  const { url, sockets } = await startApi();
  const connections = makeConnections(url);
  const [unused, used, held] = [
    await connections.take(never),
    await connections.take(never),
    await connections.take(never),
  ];
  await ask(used);
  connections.giveBack(unused);
  connections.giveBack(used);
  await connections.close();
  connections.giveBack(held);
  await expect.poll(() => sockets.map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
  await expect(connections.take(never)).rejects.toThrow();
});

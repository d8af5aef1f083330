import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { Pool } from "undici";
import { expect, test } from "vitest";
import { createCredentialFiles } from "./credential-files.ts";
import { createCredentials } from "./credentials.ts";
import { exchange } from "./http-exchange.ts";

const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

test("trap-53 a request that no connection takes in time is never sent, not even later", async () => {
  const received: string[] = [];
  let first: ServerResponse | undefined;
  const server = createServer((request, response) => {
    received.push(request.url ?? "");
    if (request.url === "/first") first = response;
    else response.end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 1, pipelining: 1 });
  const send = (path: string, sendWithinMs: number) =>
    exchange(
      createCredentials([], createCredentialFiles({ directory: undefined, clock })).over(pool),
      { method: "POST", path, headers: ["accept-encoding", "identity"], body: "{}" },
      {
        signals: [],
        deadlineMs: 5000,
        sendWithinMs,
        messageBytesMax: 1000,
        answerBytesMax: 1000,
        lingerMs: 10,
        onMessage: () => "more",
      },
    );

  const running = send("/first", 1000);
  await expect.poll(() => first).toBeDefined();
  const late = await send("/late", 20);
  first?.end("{}");
  await running;
  const next = await send("/next", 1000);

  expect(late).toMatchObject({ kind: "not_sent" });
  expect(next).toMatchObject({ kind: "answered", status: 200 });
  expect(received).toEqual(["/first", "/next"]);
  await pool.close();
  server.close();
});

import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { makeAddressRules } from "@writ/runtime";
import { afterEach, expect, test } from "vitest";
import { type AddressRefused, createGuardedConnector } from "./guarded-connector.ts";

/** The address that is listed here, and one that stands for everything that is not. */
const LISTED = "127.0.0.1";
const METADATA = "127.0.0.2";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** Listens on both addresses, on one port, and counts who comes. */
async function listen(): Promise<{ readonly port: number; readonly reached: string[] }> {
  const reached: string[] = [];
  const open = async (address: string, port: number): Promise<Server> => {
    const server = createServer((socket) => {
      reached.push(address);
      socket.on("error", () => undefined).destroy();
    });
    server.listen(port, address);
    await once(server, "listening");
    cleanups.push(() => server.close());
    return server;
  };
  const first = (await open(LISTED, 0)).address();
  const port = typeof first === "object" ? (first?.port ?? 0) : 0;
  await open(METADATA, port);
  return { port, reached };
}

/** Connects once to `host`, whose name resolves to the next of `answers` each time that it is asked for. */
async function connect(host: string, port: number, answers: readonly (readonly string[])[], listedOnly = false) {
  const asked: string[] = [];
  const judged: (AddressRefused | undefined)[] = [];
  const connector = createGuardedConnector({
    rules: makeAddressRules([LISTED]),
    resolve: async (name) => {
      const at = asked.push(name) - 1;
      return (answers[at] ?? answers.at(-1) ?? []).map((address) => ({
        address,
        family: address.includes(":") ? 6 : 4,
      }));
    },
    timeoutMs: 5000,
    listedOnly,
    onJudged: (refusal) => judged.push(refusal),
  });
  const end = await new Promise<Error | Socket>((resolve) => {
    connector({ hostname: host, host, protocol: "http:", port: String(port) }, (error, socket) =>
      resolve(error ?? socket),
    );
  });
  if (!(end instanceof Error)) cleanups.push(() => end.destroy());
  return { end, asked, judged };
}

test("R-RUN-5 trap-21 a name is resolved once, and the socket goes to an address that was judged", async () => {
  const { port, reached } = await listen();
  // Whoever asked again would be sent elsewhere.
  const { end, asked } = await connect("rebind.example", port, [[LISTED], [METADATA]]);
  expect(end).not.toBeInstanceOf(Error);
  await expect.poll(() => reached).toEqual([LISTED]);
  expect(asked).toEqual(["rebind.example"]);
});

test("trap-21 the next connection is judged anew, and goes nowhere once the name has moved", async () => {
  const { port, reached } = await listen();
  const { end, judged } = await connect("rebind.example", port, [[METADATA]]);
  expect(end).toMatchObject({ name: "AddressRefused" });
  expect(judged).toEqual([end]);
  expect(reached).toEqual([]);
});

test.each([[[LISTED, METADATA]], [[METADATA, LISTED]], [[LISTED, "::1"]], [["8.8.8.8", "169.254.169.254"]]])(
  "trap-21 one address that may not be reached refuses all of its name: %j",
  async (answers) => {
    const { port, reached } = await listen();
    const { end } = await connect("mixed.example", port, [answers]);
    expect(end).toMatchObject({ name: "AddressRefused", message: expect.stringContaining("allowedAddresses lists") });
    expect(reached).toEqual([]);
  },
);

test("trap-21 an address in the place of the name is judged without a look-up", async () => {
  const { port, reached } = await listen();
  for (const literal of [METADATA, "::1", "::ffff:127.0.0.1", "169.254.169.254"]) {
    const { end, asked } = await connect(literal, port, []);
    expect(end, literal).toMatchObject({ name: "AddressRefused" });
    expect(asked).toEqual([]);
  }
  const { end } = await connect(LISTED, port, []);
  expect(end).not.toBeInstanceOf(Error);
  await expect.poll(() => reached).toEqual([LISTED]);
});

test("a name without addresses, or that does not resolve, is a failure to connect", async () => {
  const { port } = await listen();
  expect((await connect("empty.example", port, [[]])).end).toMatchObject({ code: "ENOTFOUND" });
});

test("where only listed addresses will do, a public one is refused", async () => {
  const { port } = await listen();
  const { end } = await connect("public.example", port, [["8.8.8.8"]], true);
  expect(end).toMatchObject({ message: expect.stringContaining("use https") });
});

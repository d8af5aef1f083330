/** The HTTP door on a real socket before a real server that writes down what reaches it, for tests. Judges nothing. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Reason, UpstreamCredential } from "@writ/contract";
import { createDataListener } from "../../server/data-listener.ts";
import { DATA_LISTENER_LIMITS, type ListenerLimits } from "../../server/limits.ts";
import { createCredentialFiles } from "../../upstream/credential-files.ts";
import { UPSTREAM_LIMITS } from "../../upstream/limits.ts";
import { createUpstreams } from "../../upstream/upstreams.ts";
import { createOpenGate, type OpenGate } from "../mcp/open-gate.fixture.ts";
import { createHttpRoutes } from "./http-routes.ts";

const cleanups: (() => Promise<unknown>)[] = [];

/** Ends all that was opened. */
export async function closeDoors(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface Door {
  readonly port: number;
  readonly gate: OpenGate;
  readonly seen: Seen[];
}

export type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export const hello: Answer = (_request, response) => void response.end("hello");

/** The door before a real upstream, through a gate that lets everything pass but what `deny` says. */
export async function openDoor(
  answer: Answer = hello,
  options: {
    readonly limits?: Partial<ListenerLimits>;
    readonly deny?: Reason;
    readonly bodyBytesMax?: number;
    readonly credentials?: readonly UpstreamCredential[];
    /** Where their files are. */
    readonly directory?: string;
    readonly monotonicMs?: () => number;
  } = {},
): Promise<Door> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // the body was cut: a fault of the sender, and there is nobody to answer
    }
    const body = Buffer.concat(chunks).toString("latin1");
    seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
    answer(request, response, body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // a TCP listener's address is this
  const clock = { nowMs: () => Date.now(), monotonicMs: options.monotonicMs ?? (() => performance.now()) };
  const upstreams = createUpstreams({
    clock,
    random: { bytes: (length) => new Uint8Array(length) },
    limits: { ...UPSTREAM_LIMITS, httpBodyBytesMax: options.bodyBytesMax ?? UPSTREAM_LIMITS.httpBodyBytesMax },
    log: () => undefined,
    version: "0.1.0",
    mode: "development",
    stdioRunner: [],
    allowedAddresses: ["127.0.0.0/8"],
    callDeadlineMs: 60_000,
    childEnvironment: { path: "", home: "" },
    openEnvironment: () => ({}),
    environmentFile: "",
    credentialFiles: createCredentialFiles({ directory: options.directory, clock }),
  });
  cleanups.push(() => upstreams.close());
  const { deny } = options;
  const gate = createOpenGate({
    upstreams,
    upstream: {
      shop: {
        name: "shop",
        transport: {
          type: "http_api",
          url: `http://127.0.0.1:${port}/base`,
          routes: [{ match: "* /**", kind: "capability" }],
          ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
        },
        isolation: "shared",
        status: "active",
        timeoutMs: 60_000,
        concurrencyMax: 4,
      },
    },
    bearers: ["writ_good"],
    ...(deny === undefined ? {} : { deny: () => ({ reason: deny, detail: "", hidden: false, data: {} }) }),
  });
  const listener = createDataListener({
    limits: { ...DATA_LISTENER_LIMITS, ...options.limits },
    allowedHosts: ["127.0.0.1"],
    allowedOrigins: [],
    routes: createHttpRoutes({ gate, publicUrl: () => "http://127.0.0.1" }),
    notReady: () => undefined,
    log: () => undefined,
  });
  cleanups.push(() => listener.close());
  return { port: await listener.listen(0, "127.0.0.1"), gate, seen };
}

/** Exactly these bytes, and all that comes back until the connection ends. */
export async function ask({ port }: Door, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  // A peer that ends its side is gone, so only who gets its answer at once may do so.
  if (text.includes("connection: close\r\n")) socket.write(text, "latin1");
  else socket.end(text, "latin1");
  await once(socket, "close");
  return received;
}

export const head = (line: string, headers = ""): string =>
  `${line} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer writ_good\r\n${/^connection:/im.test(headers) ? "" : "connection: close\r\n"}${headers}\r\n`;

export async function get(door: Door, path: string, headers = ""): Promise<string> {
  return ask(door, head(`GET /http/shop${path}`, headers));
}

/** Resumable streams over a real listener, for tests: a POST opens one, a GET takes it up, and a client reads by hand. */
import { randomBytes } from "node:crypto";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { createDataListener } from "../../server/data-listener.ts";
import { DATA_LISTENER_LIMITS } from "../../server/limits.ts";
import {
  createResumableStreams,
  type ResumableStream,
  type ResumableStreams,
  type ResumptionLimits,
  type StreamOwner,
} from "./resumable-streams.ts";

export interface StreamRig {
  readonly streams: ResumableStreams;
  /** Opens a stream of a session, and what its client reads of it. */
  open(session: StreamOwner, options?: { readonly address?: string; readonly requestLength?: number }): Promise<Opened>;
  takeUp(session: StreamOwner, eventId: string, address?: string): Promise<Reading>;
  /** Connections that the listener knows of. */
  connected(): number;
  close(): Promise<void>;
}

interface Opened {
  /** Undefined where there was no room. */
  readonly stream: ResumableStream | undefined;
  readonly cut: AbortController;
  readonly reading: Reading;
}

/** One connection of a client. */
export interface Reading {
  readonly status: number;
  /** What came so far. */
  text(): string;
  /** The stream's text as soon as it has this. */
  until(text: string): Promise<string>;
  /** All of it, once it has ended in good order. */
  end(): Promise<string>;
  /** Reads no more, and stays. */
  pause(): void;
  /** As soon as so many characters came, or all: reads no more and is gone. Resolves to what it has. */
  leaveAfter(length: number): Promise<string>;
}

export function makeSession(revision = "2025-11-25", agent = "a", tenant = "t"): StreamOwner {
  return { id: randomBytes(16).toString("base64url"), agent, tenant, revision, streams: new Map() };
}

export async function startStreams(
  options: { readonly resumeWithinMs?: number; readonly limits?: ResumptionLimits } = {},
): Promise<StreamRig> {
  const { resumeWithinMs = 60_000, limits } = options;
  const makeId = (): string => randomBytes(16).toString("base64url");
  const streams = createResumableStreams({ makeId, resumeWithinMs, ...(limits === undefined ? {} : { limits }) });
  const sessions = new Map<string, StreamOwner>();
  let opened: { stream: ResumableStream | undefined; cut: AbortController } | undefined;
  const listener = createDataListener({
    limits: DATA_LISTENER_LIMITS,
    allowedHosts: ["127.0.0.1"],
    allowedOrigins: [],
    notReady: () => undefined,
    log: () => undefined,
    routes: [
      {
        method: "POST",
        pattern: "/stream/:session/:address/:length",
        async handle(exchange) {
          const { session: id = "", address, length } = exchange.params;
          const session = sessions.get(id);
          if (session === undefined) throw new TypeError("no such session");
          const headers = { "content-type": "text/event-stream" };
          const { cut } = exchange;
          const opening = { session, exchange, cut, headers, address, requestLength: Number(length) };
          opened = { stream: streams.open(opening), cut };
          if (opened.stream === undefined) exchange.answer(503, {}, "");
        },
      },
      {
        method: "GET",
        pattern: "/stream/:session/:address",
        async handle(exchange) {
          const { session: id = "", address } = exchange.params;
          const session = sessions.get(id);
          if (session === undefined) throw new TypeError("no such session");
          const from = String(exchange.request.headers["last-event-id"]);
          if (streams.takeUp(session, from, { exchange, address }) === "unknown") exchange.answer(400, {}, "");
        },
      },
    ],
  });
  const port = await listener.listen(0, "127.0.0.1");
  return {
    streams,
    async open(session, { address = "here", requestLength = 0 } = {}) {
      sessions.set(session.id, session);
      const path = `/stream/${session.id}/${address}/${requestLength}`;
      const reading = await read(request({ host: "127.0.0.1", port, path, method: "POST" }));
      if (opened === undefined) throw new TypeError("nothing was opened");
      const { stream, cut } = opened;
      return { stream, cut, reading };
    },
    takeUp(session, eventId, address = "here") {
      sessions.set(session.id, session);
      const headers = { "last-event-id": eventId };
      return read(request({ host: "127.0.0.1", port, path: `/stream/${session.id}/${address}`, headers }));
    },
    connected: listener.running,
    close: () => listener.close(),
  };
}

async function read(asking: ClientRequest): Promise<Reading> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asking.on("response", resolve).on("error", reject).end();
  });
  let heard = "";
  let over: "ended" | "broken" | undefined;
  let changed = Promise.withResolvers<void>();
  const change = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  response.setEncoding("latin1");
  response.on("data", (part: string) => {
    heard += part;
    change();
  });
  response.on("end", () => {
    over = "ended";
    change();
  });
  response.on("error", () => {
    over ??= "broken";
    change();
  });
  return {
    status: response.statusCode ?? 0,
    text: () => heard,
    async until(text) {
      while (!heard.includes(text)) {
        if (over !== undefined) throw new Error(`${over}: ${heard}`);
        await changed.promise;
      }
      return heard;
    },
    async end() {
      while (over === undefined) await changed.promise;
      if (over === "broken") throw new Error(`broken: ${heard}`);
      return heard;
    },
    pause: () => void response.pause(),
    async leaveAfter(length) {
      while (heard.length < length && over === undefined) await changed.promise;
      response.destroy();
      asking.destroy();
      // What a client reads ends where its connection broke.
      return heard.slice(0, length);
    },
  };
}

/** A text up to the end of its last event: what a client makes of it whose connection breaks there. */
export function wholeEvents(text: string): string {
  const end = text.lastIndexOf("\n\n");
  return end === -1 ? "" : text.slice(0, end + 2);
}

/** The ids and messages of the events that are whole in a text, without those that say only where the stream is. */
export function eventsOf(text: string): readonly { readonly id: string; readonly data: string }[] {
  return wholeEvents(text)
    .split("\n\n")
    .map((event) => ({
      id: /^id: (.*)$/m.exec(event)?.[1] ?? "",
      data: [...event.matchAll(/^data: (.*)$/gm)].map(([, line]) => line ?? "").join("\n"),
    }))
    .filter(({ data }) => data !== "");
}

/** The last id in the events that are whole: what a client sends as `Last-Event-ID`. */
export function lastIdOf(text: string): string | undefined {
  return [...wholeEvents(text).matchAll(/^id: (.*)$/gm)].at(-1)?.[1];
}

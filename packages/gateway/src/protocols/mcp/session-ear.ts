/**
 * The stream on which a session's client hears of what belongs to no request of its own. What is said while the
 * client is away for a moment is kept, so that it can take the stream up where it stopped (`Last-Event-ID`); who is away for
 * longer stops listening. What is said, and whether it may be, is not decided here.
 */
import { type Exchange, streamHeaders } from "../../server/data-listener.ts";
import type { KeepAlive } from "./keep-alive.ts";
import { writeEvent } from "./write-event.ts";

export interface SessionEar {
  /** Gives the stream to this request, which resolves when the stream is over; another that had it loses it. */
  attach(exchange: Exchange, lastEventId: string | undefined): Promise<void>;
  /** JSON text of a message for the client. */
  say(json: string): void;
  /** Whether the client is there now. */
  attached(): boolean;
  /** The end of listening; the stream ends with it. Idempotent. */
  close(): void;
  readonly closed: AbortSignal;
  /** The id of the next event: whoever listens to the session after this one goes on from there. */
  nextId(): number;
}

/** What is kept for a client that is away: messages, and characters of them. */
const KEPT_MAX = 256;
const KEPT_LENGTH_MAX = 64 * 1024;
/** How long a client may be away. */
const AWAY_MS = 60_000;

/** Whether an event's id is of the kind that these streams give. */
export function isEarEvent(id: string): boolean {
  return /^[0-9]{1,15}$/.test(id);
}

/** Ids belong to the session: a client may come back with one of an ear that it lost since. */
export function createSessionEar(keepAlive: KeepAlive, firstId = 1): SessionEar {
  const closed = new AbortController();
  const kept: { readonly id: number; readonly text: string }[] = [];
  let keptLength = 0;
  let nextId = firstId;
  let current: { readonly exchange: Exchange; readonly over: () => void } | undefined;
  let away: NodeJS.Timeout | undefined;

  function beat(): void {
    // A peer that does not read is cut by the listener's own limit.
    if (current !== undefined) void current.exchange.write(": waiting\n\n");
  }

  function detach(): void {
    const left = current;
    current = undefined;
    keepAlive.remove(beat);
    if (left === undefined) return;
    left.exchange.response.end();
    left.over();
  }

  function close(): void {
    clearTimeout(away);
    detach();
    closed.abort();
  }

  function wait(): void {
    clearTimeout(away);
    away = setTimeout(close, AWAY_MS);
    away.unref();
  }

  wait();
  return {
    closed: closed.signal,
    close,
    nextId: () => nextId,
    attached: () => current !== undefined,
    attach(exchange, lastEventId) {
      detach();
      clearTimeout(away);
      return new Promise((resolve) => {
        const own = { exchange, over: resolve };
        current = own;
        const type = { "content-type": "text/event-stream", "x-accel-buffering": "no" };
        exchange.response.writeHead(200, streamHeaders(type));
        exchange.response.flushHeaders();
        const from = lastEventId === undefined || !isEarEvent(lastEventId) ? nextId : Number(lastEventId);
        for (const { id, text } of kept) if (id > from) void exchange.write(text);
        keepAlive.add(beat);
        exchange.cut.signal.addEventListener(
          "abort",
          () => {
            if (current !== own) return;
            detach();
            if (!closed.signal.aborted) wait();
          },
          { once: true },
        );
        if (closed.signal.aborted || exchange.cut.signal.aborted) detach();
      });
    },
    say(json) {
      const id = nextId;
      nextId += 1;
      const text = writeEvent(json, String(id));
      kept.push({ id, text });
      keptLength += text.length;
      while (kept.length > KEPT_MAX || keptLength > KEPT_LENGTH_MAX) {
        keptLength -= kept.shift()?.text.length ?? 0;
      }
      // Whoever does not read is cut by the listener's own limit, and may come back for what it missed.
      if (current !== undefined) void current.exchange.write(text);
    },
  };
}

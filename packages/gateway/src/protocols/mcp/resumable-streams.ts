/**
 * Streams of answers that outlive their connections, for the revisions with sessions. Each event has an id, and what was
 * said is kept within bounds, so that an agent whose connection broke takes its stream up after the last event that it has
 * (`Last-Event-ID`), misses nothing and is told nothing twice. What is said, and whether it may be, is not decided here.
 *
 *     connected ⇄ away ──too long──▶ the call is cut
 *         └───┬────┘
 *     the last message ──▶ over ──all of it was read, too long, or no room──▶ forgotten
 */
import { type Exchange, streamHeaders } from "../../server/data-listener.ts";
import { SESSION_REVISION } from "./decode.ts";
import { writeEvent } from "./write-event.ts";

export interface ResumableStreams {
  /** Undefined where nothing is kept, or no room is left: then whoever leaves has cut the call, as without a session. */
  open(opening: StreamOpening): ResumableStream | undefined;
  /**
   * Gives the stream of an event to this request, from what came after it; another request that had it loses it.
   * "unknown": it is no event of a stream of this session, or what came after it is not all there.
   */
  takeUp(session: StreamOwner, eventId: string, taker: StreamTaker): "taken" | "unknown";
}

/** A session, as far as its streams go. */
export interface StreamOwner {
  readonly id: string;
  /** Whose sessions count together, and whose agents do. */
  readonly agent: string;
  readonly tenant: string;
  readonly revision: string;
  /** By the part of their events' ids that is theirs. */
  readonly streams: Map<string, KeptStream>;
}

export interface StreamTaker {
  readonly exchange: Exchange;
  /** Where the token is presented from, if it asks for that: the stream is for who comes from there. */
  readonly address: string | undefined;
}

export interface StreamOpening extends StreamTaker {
  readonly session: StreamOwner;
  /** Of the call. Aborted by whoever no longer wants or allows it: nothing is kept then. */
  readonly cut: AbortController;
  /** Of the answer, whole. */
  readonly headers: Readonly<Record<string, string>>;
  /** Characters of the request, which is judged again as long as anything of its answer is kept. */
  readonly requestLength: number;
}

/** The answering side of a stream. Its first connection is the one that it was opened on. */
export interface ResumableStream {
  /** JSON text of a message. Resolves when there is room for more. */
  say(json: string): void | Promise<void>;
  /** Shows that the connection lives, where there is one. */
  beat(): void;
  /** The last message was said. Resolves when it is with the agent's side, if that is there. Idempotent. */
  finish(): void | Promise<void>;
  /** Resolves when nothing of the answer is kept any more. */
  readonly emptied: Promise<void>;
}

/** The keeping side of a stream. */
export interface KeptStream {
  takeUp(taker: StreamTaker, after: number): "taken" | "unknown";
  forget(): void;
}

export interface ResumptionLimits {
  /** Of one stream: the oldest events go first, and whoever has not read them cannot come back. */
  readonly eventsMax: number;
  readonly streamBytesMax: number;
  readonly session: ShareLimits;
  /** So that neither one agent nor one tenant can take everybody's room. */
  readonly agent: ShareLimits;
  readonly tenant: ShareLimits;
  readonly gateway: ShareLimits;
}

interface ShareLimits {
  readonly bytesMax: number;
  /** Streams that are over and can still be taken up; each is judged again whenever authority changes. */
  readonly overMax: number;
}

const MIB = 1024 * 1024;

export const RESUMPTION_LIMITS: ResumptionLimits = {
  eventsMax: 1024,
  streamBytesMax: 2 * MIB,
  session: { bytesMax: 4 * MIB, overMax: 16 },
  agent: { bytesMax: 8 * MIB, overMax: 64 },
  tenant: { bytesMax: 32 * MIB, overMax: 256 },
  gateway: { bytesMax: 64 * MIB, overMax: 512 },
};

/** What an event and a stream take beside their texts, and a request for each of its characters. */
const EVENT_BYTES = 256;
const STREAM_BYTES = 16 * 1024;
const REQUEST_BYTES = 4;
/** When a client that was disconnected may come back. */
const RETRY_MS = 1000;

/** The room of a session, of an agent, of a tenant or of all. */
interface Share {
  readonly limits: ShareLimits;
  /** Streams that are over; the oldest first. When there is no room, they go. */
  readonly over: Set<KeptStream>;
  bytes: number;
  streams: number;
}

const encoder = new TextEncoder();

export function createResumableStreams(options: {
  readonly makeId: () => string;
  /** How long an agent may be away, and how long a stream is kept that is over; 0: nothing is. */
  readonly resumeWithinMs: number;
  readonly limits?: ResumptionLimits;
}): ResumableStreams {
  const { makeId, resumeWithinMs, limits = RESUMPTION_LIMITS } = options;
  const whole = makeShare(limits.gateway);
  const byAgent = new Map<string, Share>();
  const byTenant = new Map<string, Share>();
  const bySession = new Map<string, Share>();

  return {
    open(opening) {
      if (resumeWithinMs === 0) return undefined;
      const { session, requestLength } = opening;
      const ofSession = shareOf(bySession, session.id, limits.session);
      const ofAgent = shareOf(byAgent, session.agent, limits.agent);
      const ofTenant = shareOf(byTenant, session.tenant, limits.tenant);
      const shares = [ofSession, ofAgent, ofTenant, whole];
      const leave = (): void => {
        for (const share of shares) share.streams -= 1;
        if (ofSession.streams === 0) bySession.delete(session.id);
        if (ofAgent.streams === 0) byAgent.delete(session.agent);
        if (ofTenant.streams === 0) byTenant.delete(session.tenant);
      };
      for (const share of shares) share.streams += 1;
      const ownBytes = STREAM_BYTES + REQUEST_BYTES * requestLength;
      if (!takeRoom(shares, ownBytes)) {
        leave();
        return undefined;
      }
      return openStream(opening, { id: makeId(), shares, ownBytes, leave, resumeWithinMs, limits });
    },
    takeUp(session, eventId, taker) {
      const [, id = "", after = ""] = /^([A-Za-z0-9_-]{22})\.(0|[1-9][0-9]{0,8})$/.exec(eventId) ?? [];
      return session.streams.get(id)?.takeUp(taker, Number(after)) ?? "unknown";
    },
  };
}

interface Place {
  readonly id: string;
  readonly shares: readonly Share[];
  readonly ownBytes: number;
  readonly leave: () => void;
  readonly resumeWithinMs: number;
  readonly limits: ResumptionLimits;
}

function openStream(
  { session, cut, headers, exchange: first, address }: StreamOpening,
  { id, shares, ownBytes, leave, resumeWithinMs, limits }: Place,
): ResumableStream {
  const primes = session.revision === SESSION_REVISION;
  const emptied = Promise.withResolvers<void>();
  /** Without a gap, up to the last one that was said. */
  let kept: Uint8Array[] = [];
  let keptBytes = 0;
  /** The number of the next event; they begin at 1. */
  let next = 1;
  /** The last event that went to a connection; whoever names a later one was not told it by us. */
  let told = primes ? 0 : -1;
  let current: Exchange | undefined;
  let timer: NodeJS.Timeout | undefined;
  /** Of the last thing written to the connection. */
  let last: void | Promise<void>;
  let finished = false;
  let state: "running" | "over" | "forgotten" = "running";

  /** In the revision that has an event for it, the client learns that it is after event `at` before it is told anything. */
  function connect(exchange: Exchange, at: number): void {
    clearTimeout(timer);
    current = exchange;
    exchange.outlive(() => {
      if (current !== exchange) return;
      current = undefined;
      if (state === "running") wait(() => cut.abort());
    });
    exchange.response.writeHead(200, streamHeaders(headers));
    if (primes) void exchange.write(`id: ${id}.${at}\nretry: ${RETRY_MS}\ndata: \n\n`);
    else exchange.response.flushHeaders();
  }

  function wait(then: () => void): void {
    clearTimeout(timer);
    timer = setTimeout(then, resumeWithinMs);
    timer.unref();
  }

  function giveRoom(bytes: number): void {
    for (const share of shares) share.bytes -= bytes;
  }

  function dropOldest(): void {
    const bytes = costOf(kept.shift());
    keptBytes -= bytes;
    giveRoom(bytes);
  }

  function empty(): void {
    giveRoom(keptBytes);
    kept = [];
    keptBytes = 0;
    emptied.resolve();
  }

  function keep(event: Uint8Array): void {
    const bytes = costOf(event);
    const fits = bytes <= limits.streamBytesMax && !cut.signal.aborted && state === "running";
    while (kept.length > 0) {
      const hasOwnRoom = kept.length < limits.eventsMax && keptBytes + bytes <= limits.streamBytesMax;
      if (fits && hasOwnRoom && takeRoom(shares, bytes)) break;
      dropOldest();
    }
    // What cannot be kept leaves nothing behind that it would be missed after.
    if (kept.length === 0 && !(fits && takeRoom(shares, bytes))) return;
    kept.push(event);
    keptBytes += bytes;
  }

  function forget(): void {
    if (state === "forgotten") return;
    state = "forgotten";
    clearTimeout(timer);
    cut.signal.removeEventListener("abort", empty);
    empty();
    giveRoom(ownBytes);
    for (const share of shares) share.over.delete(own);
    session.streams.delete(id);
    leave();
  }

  const own: KeptStream = {
    forget,
    takeUp(taker, after) {
      const { exchange } = taker;
      if (taker.address !== address) return "unknown";
      if (after > told || after < next - 1 - kept.length) return "unknown";
      if (exchange.cut.signal.aborted) return "taken";
      if (state === "over" && after === next - 1) {
        // The way to tell a client that there is nothing to come back for (HTML, server-sent events).
        exchange.answer(204, {}, "");
        forget();
        return "taken";
      }
      const before = current;
      connect(exchange, after);
      if (before?.response.writableNeedDrain === true) before.response.destroy();
      else before?.response.end();
      const missed = kept.slice(kept.length - (next - 1 - after));
      last = missed.length === 0 ? undefined : exchange.write(Buffer.concat(missed));
      told = next - 1;
      if (state === "over") {
        void part();
        wait(forget);
      }
      return "taken";
    },
  };

  /** The end of the connection, not of what is kept. */
  function part(): void | Promise<void> {
    const exchange = current;
    current = undefined;
    if (last === undefined) {
      exchange?.response.end();
      return;
    }
    return last.then(() => void exchange?.response.end());
  }

  cut.signal.addEventListener("abort", empty, { once: true });
  if (cut.signal.aborted) empty();
  session.streams.set(id, own);
  connect(first, 0);

  return {
    emptied: emptied.promise,
    say(json) {
      const event = encoder.encode(writeEvent(json, `${id}.${next}`));
      next += 1;
      keep(event);
      if (current === undefined) return;
      told = next - 1;
      last = current.write(event);
      return last;
    },
    beat() {
      // A peer that does not read is cut by the listener's own limit.
      if (current !== undefined) void current.write(": waiting\n\n");
    },
    finish() {
      if (finished) return;
      finished = true;
      const isAway = current === undefined;
      const parted = part();
      if (isAway && cut.signal.aborted) forget();
      if (state === "forgotten") return parted;
      state = "over";
      wait(forget);
      for (const share of shares) {
        share.over.add(own);
        const [oldest] = share.over;
        if (share.over.size > share.limits.overMax) oldest?.forget();
      }
      return parted;
    },
  };
}

function makeShare(limits: ShareLimits): Share {
  return { limits, over: new Set(), bytes: 0, streams: 0 };
}

function shareOf(shares: Map<string, Share>, key: string, limits: ShareLimits): Share {
  const known = shares.get(key);
  if (known !== undefined) return known;
  const made = makeShare(limits);
  shares.set(key, made);
  return made;
}

/** Room in all of these, or in none; streams that are over make way. */
function takeRoom(shares: readonly Share[], bytes: number): boolean {
  for (const share of shares) {
    while (share.bytes + bytes > share.limits.bytesMax) {
      const [oldest] = share.over;
      if (oldest === undefined) return false;
      oldest.forget();
    }
  }
  for (const share of shares) share.bytes += bytes;
  return true;
}

function costOf(event: Uint8Array | undefined): number {
  return event === undefined ? 0 : event.length + EVENT_BYTES;
}

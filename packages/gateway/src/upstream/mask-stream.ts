/**
 * Takes secrets out of an answer that is passed on as it comes, wherever its pieces begin and end: the forms that
 * mask-secrets.ts finds, and UTF-16. As many stars as bytes, so that no length changes. What may be the beginning of a
 * secret waits for what follows it, and nothing else does: an answer that trickles is not slower for it.
 */
import { removeEscapes, secretForms, type View, viewsOf } from "./mask-secrets.ts";

export interface StreamMask {
  /** What can go on of all that has come; often the very chunk. */
  push(chunk: Uint8Array): Uint8Array;
  /** The rest, when nothing follows. */
  end(): Uint8Array;
}

/** JSON in JSON, six times over, has one less; so what waits is bounded. */
const BACKSLASHES_MAX = 64;
/**
 * Of more than this that waits, all is looked at again only when an eighth as much has come: whoever knows a secret can
 * send its beginning in very many bytes, one after another.
 */
const WAITS_WELL = 4_096;
const NOTHING = new Uint8Array(0);
const STAR = "*";

/** What is looked for in a stream; made once for many of them. In Latin 1 each byte is a character, and each form ASCII. */
export function streamForms(secrets: readonly string[]): readonly string[] {
  return [...secretForms(secrets), ...secrets.map((secret) => [...secret].join("\0"))];
}

export function createStreamMask(needles: readonly string[]): StreamMask {
  /** What waits, and how much of its beginning is part of a secret that has gone by. */
  let pending = "";
  let covered = 0;
  /** What has come behind that and was not looked at. */
  let unread = "";

  function take(text: string, isEnd: boolean): string {
    const found = findSecrets(text, needles);
    const upTo = isEnd ? text.length : found.holdFrom;
    let out = "";
    let from = 0;
    let coveredTo = covered;
    for (const [start, end] of [[0, covered] as const, ...found.ranges]) {
      if (start >= upTo || end <= from) continue;
      const begin = Math.max(start, from);
      const stop = Math.min(end, upTo);
      out += text.slice(from, begin) + STAR.repeat(stop - begin);
      from = stop;
      coveredTo = Math.max(coveredTo, end);
    }
    pending = text.slice(upTo);
    covered = Math.max(0, coveredTo - upTo);
    return out + text.slice(from, upTo);
  }

  return {
    push(chunk) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const isUntouched = pending === "" && covered === 0;
      unread += bytes.toString("latin1");
      if (pending.length > WAITS_WELL && unread.length * 8 < pending.length) return NOTHING;
      const text = pending + unread;
      unread = "";
      const out = take(text, false);
      return isUntouched && out === text ? chunk : Buffer.from(out, "latin1");
    },
    end: () => Buffer.from(take(pending + unread, true), "latin1"),
  };
}

interface Found {
  /** Beginnings and ends of whole secrets, in order of their beginnings. */
  readonly ranges: readonly (readonly [number, number])[];
  /** From here on it may be the beginning of another one; the length when it is not. */
  readonly holdFrom: number;
}

function findSecrets(text: string, needles: readonly string[]): Found {
  const ranges: [number, number][] = [];
  let holdFrom = text.length;
  const look = ({ text: within, beginOf, endOf }: View): void => {
    for (const needle of needles) {
      for (let at = within.indexOf(needle); at >= 0; at = within.indexOf(needle, at + 1)) {
        ranges.push([beginOf(at), endOf(at + needle.length - 1)]);
      }
      const begun = beginningOf(within, needle);
      if (begun < within.length) holdFrom = Math.min(holdFrom, beginOf(begun));
    }
  };
  look({ text, beginOf: (at) => at, endOf: (at) => at + 1 });
  const hasEscapes = text.includes("\\") || text.includes("%");
  const unescaped = hasEscapes ? removeEscapes(text, BACKSLASHES_MAX) : undefined;
  for (const view of viewsOf(text, unescaped)) look(view);
  const cutFrom = unescaped?.cutFrom ?? text.length;
  // A cut escape may stand for the next character of a secret, which then began before it.
  if (cutFrom < text.length) {
    const before = text.slice(0, cutFrom);
    for (const { text: within, beginOf } of viewsOf(before, removeEscapes(before, BACKSLASHES_MAX))) {
      for (const needle of needles) {
        const begun = beginningOf(within, needle);
        if (begun < within.length) holdFrom = Math.min(holdFrom, beginOf(begun));
      }
    }
    holdFrom = Math.min(holdFrom, cutFrom);
  }
  ranges.sort(([a], [b]) => a - b);
  return { ranges, holdFrom };
}

/** Where the end of `text` begins to be a beginning of `needle`; its length when it is none. */
function beginningOf(text: string, needle: string): number {
  const first = needle[0] ?? "";
  const from = Math.max(0, text.length - needle.length + 1);
  for (let at = text.indexOf(first, from); at >= 0; at = text.indexOf(first, at + 1)) {
    if (needle.startsWith(text.slice(at))) return at;
  }
  return text.length;
}

/**
 * Reads a `text/event-stream` body from bytes as they come (WHATWG HTML, section 9.2.6). It hands over the data of
 * each event, to whoever asks for them also of those with a name, keeps the last id and retry time, and ignores comments.
 * An event larger than the limit is the end of the stream.
 */

export interface SseParser {
  /** Feeds bytes; returns the data of the events that they complete. Throws `SseOverflow`. */
  push(chunk: Uint8Array): readonly string[];
  /** From where a stream that has ended can be taken up again, and after how long; undefined where it did not say. */
  resumption(): { readonly lastEventId: string | undefined; readonly retryMs: number | undefined };
}

/** An event was larger than this parser may hold. */
export class SseOverflow extends Error {
  constructor(limit: number) {
    super(`an event is larger than ${limit} bytes`);
    this.name = "SseOverflow";
  }
}

const LINE_END = /\r\n|\n|\r/g;

export function createSseParser(eventBytesMax: number, onNamed?: (event: string, data: string) => void): SseParser {
  const decoder = new TextDecoder("utf-8");
  /** The parts of a line that has not ended yet: joined once, so that many small chunks do not cost a square. */
  let pieces: string[] = [];
  let data: string[] = [];
  let held = 0;
  let event = "";
  let lastEventId: string | undefined;
  let retryMs: number | undefined;

  function line(text: string, out: string[]): void {
    if (text === "") {
      if (data.length > 0 && (event === "" || event === "message")) out.push(data.join("\n"));
      else if (data.length > 0) onNamed?.(event, data.join("\n"));
      data = [];
      event = "";
      held = 0;
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const raw = colon < 0 ? "" : text.slice(colon + 1);
    const value = raw.startsWith(" ") ? raw.slice(1) : raw;
    if (field === "data") data.push(value);
    else if (field === "event") event = value;
    else if (field === "id") {
      // It comes back in a header: what none can carry is no id.
      if (/^[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?$/.test(value)) lastEventId = value;
    } else if (field === "retry" && /^[0-9]{1,6}$/.test(value)) retryMs = Number(value);
  }

  let endedWithReturn = false;
  return {
    resumption: () => ({ lastEventId, retryMs }),
    push(chunk) {
      held += chunk.length;
      if (held > eventBytesMax) throw new SseOverflow(eventBytesMax);
      let text = decoder.decode(chunk, { stream: true });
      // A line may end in CR LF across two chunks: the LF then belongs to the line that has ended already.
      if (endedWithReturn && text.startsWith("\n")) text = text.slice(1);
      if (text !== "") endedWithReturn = text.endsWith("\r");
      const out: string[] = [];
      let from = 0;
      for (const match of text.matchAll(LINE_END)) {
        pieces.push(text.slice(from, match.index));
        from = match.index + match[0].length;
        const whole = pieces.join("");
        pieces = [];
        line(whole, out);
      }
      if (from < text.length) pieces.push(text.slice(from));
      if (data.length === 0 && pieces.length === 0) held = 0;
      return out;
    },
  };
}

/** Reads the data of server-sent events from a response's body (HTML Living Standard 9.2.6); names and ids are passed over. */

/** Longest event; a longer one ends the reading with an error. */
const EVENT_CHARACTERS_MAX = 16 * 1024 * 1024;

/** The `data` of each event, in order. */
export async function* readEventStream(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  let length = 0;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A carriage return at the end may be half of a line's end.
      const whole = done ? rest : rest.replace(/\r$/, "");
      const held = rest.length - whole.length;
      const lines = whole.split(/\r\n|\n|\r/);
      rest = (lines.pop() ?? "") + (held === 0 ? "" : "\r");
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield data.join("\n");
          data = [];
          length = 0;
        } else if (line.startsWith("data:")) {
          const text = line.slice(line.startsWith("data: ") ? 6 : 5);
          length += text.length;
          data.push(text);
        }
      }
      if (length + rest.length > EVENT_CHARACTERS_MAX) throw new RangeError("an event is too long");
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => undefined); // a stream that has ended cannot be cancelled, which is as good
  }
}

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSseParser, SseOverflow } from "./sse-parser.ts";

function feed(bytes: Uint8Array, cuts: readonly number[]): string[] {
  const parser = createSseParser(1_000_000);
  const out: string[] = [];
  let from = 0;
  for (const cut of [...cuts.map((c) => c % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    out.push(...parser.push(bytes.subarray(from, cut)));
    from = cut;
  }
  return out;
}

describe("the SSE parser", () => {
  test("reads the same events however the bytes are cut", () => {
    const line = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll(/[\r\n]/g, ""));
    const end = fc.constantFrom("\n", "\r\n", "\r");
    fc.assert(
      fc.property(
        fc.array(fc.array(line, { minLength: 1 }), { maxLength: 5 }),
        end,
        fc.array(fc.nat()),
        (events, nl, cuts) => {
          const text = events
            .map((lines) => `${lines.map((l) => `: note${nl}data: ${l}${nl}`).join("")}${nl}`)
            .join("");
          expect(feed(new TextEncoder().encode(text), cuts)).toEqual(events.map((lines) => lines.join("\n")));
        },
      ),
    );
  });

  test("refuses an event that never ends", () => {
    const parser = createSseParser(100);
    expect(() => {
      for (let i = 0; i < 200; i += 1) parser.push(new TextEncoder().encode("data: xxxx"));
    }).toThrow(SseOverflow);
  });

  test("holds no more than one event against the limit", () => {
    const parser = createSseParser(100);
    for (let i = 0; i < 200; i += 1)
      expect(parser.push(new TextEncoder().encode(`data: ${i}\n\n`))).toEqual([String(i)]);
  });

  test("ignores ids, retry times and events of other types", () => {
    const parser = createSseParser(1000);
    const text = "id: 4\nretry: 10\ndata:\n\nevent: endpoint\ndata: /x\n\nevent: message\ndata: {}\n\n";
    expect(parser.push(new TextEncoder().encode(text))).toEqual(["", "{}"]);
  });

  test("hands over events of other types to whoever asked for them", () => {
    const named: string[][] = [];
    const parser = createSseParser(1000, (event, data) => named.push([event, data]));
    const text = "event: endpoint\ndata: /x\ndata: y\n\nevent: message\ndata: {}\n\nevent: empty\n\n";
    expect(parser.push(new TextEncoder().encode(text))).toEqual(["{}"]);
    expect(named).toEqual([["endpoint", "/x\ny"]]);
  });
});

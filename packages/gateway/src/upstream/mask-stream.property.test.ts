import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMaskSecrets } from "./mask-secrets.ts";
import { createStreamMask, streamForms } from "./mask-stream.ts";

const secret = fc
  .string({
    unit: fc.constantFrom(..." !#$&'()*+,-./0123456789:;<=>?@ABCXYZ[]^_`abcuxyz{|}~"),
    minLength: 8,
    maxLength: 40,
  })
  .filter((text) => text.trim() === text);
const around = fc.string({ unit: fc.constantFrom(...'abcu0\\%/"= A'), maxLength: 30 });
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 });

/** The same text in pieces of these sizes, over and over. */
function pass(secrets: readonly string[], bytes: Buffer, pieces: readonly number[]): Buffer {
  const mask = createStreamMask(streamForms(secrets));
  const out: Uint8Array[] = [];
  let at = 0;
  for (let count = 0; at < bytes.length; count += 1) {
    const size = pieces[count % pieces.length] ?? 1;
    out.push(mask.push(bytes.subarray(at, at + size)));
    at += size;
  }
  out.push(mask.end());
  return Buffer.concat(out);
}

const forms: readonly ((value: string) => string)[] = [
  (value) => value,
  (value) => encodeURIComponent(value),
  (value) => [...value].map((each) => `%${each.charCodeAt(0).toString(16).padStart(2, "0")}`).join(""),
  (value) => [...value].map((each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  (value) => [...value].map((each) => `\\\\\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  (value) => JSON.stringify(JSON.stringify(value.replaceAll("/", "\\/"))),
  (value) => Buffer.from(value).toString("base64"),
  (value) => Buffer.from(`?key=${encodeURIComponent(value)}&`).toString("base64url"),
  ...[76, 7, 1].flatMap((columns) =>
    ["\r\n", "\n", "\\r\\n", "\\n", "%0D%0A", "\n "].map((wrap) => (value: string) => {
      const text = Buffer.from(`a longer text, so that there is more than one line of ${value} in it`).toString(
        "base64",
      );
      return (text.match(new RegExp(`.{1,${columns}}`, "g")) ?? []).join(wrap);
    }),
  ),
];

describe("R-SECRET-4 a secret in an answer that comes in pieces", () => {
  test("of the greatest length is masked in its longest spelling, byte by byte, and so is what only begins like it", () => {
    const value = Array.from({ length: 8_192 }, (_, at) => String.fromCharCode(97 + (at % 26))).join("");
    const spelt = (text: string): string =>
      [...text].map((each) => `\\\\\\u00${each.charCodeAt(0).toString(16)}`).join("");
    for (const [text, stars] of [
      [spelt(value), true],
      [`${spelt(value.slice(0, -1))} and no more`, false],
      [Buffer.from(value).toString("base64").replaceAll(/./g, "$&\\n \\t\\t"), true],
    ] as const) {
      const bytes = Buffer.from(text, "latin1");
      const out = pass([value], bytes, [1]);
      expect(out.length).toBe(bytes.length);
      expect(out.equals(pass([value], bytes, [bytes.length]))).toBe(true);
      expect(out.includes("*".repeat(8_192))).toBe(stars);
    }
  });

  test("is masked in every form, wherever the pieces begin, and no length changes", () => {
    fc.assert(
      fc.property(secret, around, around, fc.constantFrom(...forms), sizes, (value, before, after, form, pieces) => {
        const bytes = Buffer.from(`${before}\n${form(value)}\n${after}`, "latin1");
        const out = pass([value], bytes, pieces);
        expect(out.length).toBe(bytes.length);
        expect(out.equals(pass([value], bytes, [bytes.length]))).toBe(true);
        // Nothing is left for the one that looks at whole texts.
        const text = out.toString("latin1");
        expect(createMaskSecrets([value])(text)).toBe(text);
        expect(text).toMatch(/\*{8}/);
      }),
      { numRuns: 2_000 },
    );
  });

  test("is masked in UTF-16, either way round", () => {
    fc.assert(
      fc.property(secret, sizes, (value, pieces) => {
        const little = Buffer.from(`<${value}>`, "utf16le");
        for (const bytes of [little, Buffer.from(little).swap16()]) {
          const out = pass([value], bytes, pieces);
          expect(out.length).toBe(bytes.length);
          expect(out.indexOf(value.slice(0, 4).split("").join("\0"), 0, "latin1")).toBe(-1);
        }
      }),
    );
  });

  test("is masked where it overlaps another, or itself", () => {
    fc.assert(
      fc.property(sizes, (pieces) => {
        const secrets = ["abcdefgh-xyxyxyxy", "xyxyxyxy-12345678", "aaaaaaaaa"];
        const text = "<abcdefgh-xyxyxyxy-12345678><aaaaaaaaaaaaaa>xyxyxyxyxy-12345678";
        expect(pass(secrets, Buffer.from(text), pieces).toString()).toBe(
          `<${"*".repeat(26)}><${"*".repeat(14)}>xy${"*".repeat(17)}`,
        );
      }),
    );
  });
});

test("what holds no secret goes on as it is, to the byte", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), sizes, (bytes, pieces) => {
      expect(pass(["Zq9-Zq9-Zq9-Zq9"], Buffer.from(bytes), pieces).equals(Buffer.from(bytes))).toBe(true);
    }),
  );
});

test("what cannot be the beginning of a secret waits for nothing", () => {
  const mask = createStreamMask(streamForms(["Zq9-Zq9-Zq9-Zq9"]));
  const told = (text: string): string => Buffer.from(mask.push(Buffer.from(text))).toString();
  expect(told("data: 1\n\n")).toBe("data: 1\n\n");
  expect(told("data: Zq9-")).toBe("data: ");
  expect(told("!\n\n")).toBe("Zq9-!\n\n");
  // A line that ends so may go on in the next one; one that is followed by an empty line does not.
  expect(told("Zq9-\r")).toBe("");
  expect(told("\n")).toBe("");
  expect(told("\r\n")).toBe("Zq9-\r\n\r\n");
  expect(told("Zq9-\n\n")).toBe("Zq9-\n\n");
});

test("an answer of nothing but backslashes is neither held nor looked at again and again", () => {
  const mask = createStreamMask(streamForms(["Zq9-Zq9-Zq9-Zq9"]));
  const piece = Buffer.alloc(64 * 1024, "\\");
  let out = 0;
  for (let count = 0; count < 16; count += 1) out += mask.push(piece).length;
  expect(out).toBeGreaterThan(15 * piece.length);
  expect(out + mask.end().length).toBe(16 * piece.length);
});

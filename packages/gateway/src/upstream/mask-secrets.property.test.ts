import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMaskSecrets } from "./mask-secrets.ts";

/** Any value that a credential can have. */
const secret = fc
  .string({
    unit: fc.constantFrom(..." !#$&'()*+,-./0123456789:;<=>?@ABCXYZ[]^_`abcuxyz{|}~"),
    minLength: 8,
    maxLength: 64,
  })
  .filter((text) => text.trim() === text);
const around = fc.string({ unit: "grapheme-ascii", maxLength: 20 });

/** One character as JSON may spell it. */
const jsonCharacter = (character: string, how: number): string =>
  how === 0 || (how === 2 && character === "u")
    ? JSON.stringify(character).slice(1, -1)
    : how === 2 && (character === '"' || character === "/")
      ? `\\${character}`
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
const urlCharacter = (character: string, how: number): string =>
  how === 0 && /[A-Za-z0-9_.~-]/.test(character)
    ? character
    : `%${character.charCodeAt(0).toString(16).padStart(2, "0")[how === 1 ? "toUpperCase" : "toLowerCase"]()}`;
const hows = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 8, maxLength: 8 });
const spell = (text: string, how: readonly number[], by: (character: string, how: number) => string): string =>
  [...text].map((character, at) => by(character, how[at % how.length] ?? 0)).join("");

/** Lines as MIME (76), PEM (64) and others have them. */
const width = fc.oneof(fc.constantFrom(76, 64), fc.integer({ min: 1, max: 80 }));
const wrap = fc.constantFrom("\r\n", "\n", "\n  ", "\r\n\t");
const wrapped = (text: string, columns: number, lineBreak: string): string =>
  (text.match(new RegExp(`.{1,${columns}}`, "g")) ?? []).join(lineBreak);

const asJson = (text: string): string => JSON.stringify({ content: [{ type: "text", text }] });

/** What an agent could read: all texts in the message, and the texts of JSON inside them. */
function readable(message: string): string {
  const value = JSON.parse(message) as { content: { text: string }[] };
  return value.content.map(({ text }) => text).join("\n");
}

describe("a secret that an upstream reflects is not there any more, and the message is still JSON", () => {
  test("as it is", () => {
    fc.assert(
      fc.property(secret, around, around, (value, before, after) => {
        const masked = createMaskSecrets([value])(asJson(before + value + after));
        expect(readable(masked)).not.toContain(value);
      }),
    );
  });

  test("in JSON, each character escaped or not, also when the JSON is a text in JSON", () => {
    fc.assert(
      fc.property(secret, hows, fc.integer({ min: 0, max: 2 }), (value, how, depth) => {
        let message = `{"content":[{"type":"text","text":"<${spell(value, how, jsonCharacter)}>"}]}`;
        for (let level = 0; level < depth; level += 1) message = asJson(message);
        let text = createMaskSecrets([value])(message);
        for (let level = 0; level <= depth; level += 1) text = readable(text);
        expect(text).toBe("<***>");
      }),
      // The first character's escape ends with that character.
      { examples: [["4      a", [1, 0, 0, 0, 0, 0, 0, 0], 0]] },
    );
  });

  test("in base64 and base64url, wherever in a longer text it stands", () => {
    fc.assert(
      fc.property(secret, around, around, fc.constantFrom("base64", "base64url"), (value, before, after, encoding) => {
        const text = Buffer.from(before + value + after).toString(encoding as BufferEncoding);
        const masked = readable(createMaskSecrets([value])(asJson(`x=${text}&`)));
        expect(masked).toContain("***");
        // What is left around the mask decodes to nothing that holds the value.
        for (const piece of masked.slice(2, -1).split("***")) {
          for (const skip of [0, 1, 2, 3])
            expect(Buffer.from(piece.slice(skip), "base64").toString("latin1")).not.toContain(value);
        }
      }),
    );
  });

  test("in base64 that is wrapped, however wide its lines, and however deep in JSON", () => {
    fc.assert(
      fc.property(
        secret,
        around,
        around,
        width,
        wrap,
        fc.integer({ min: 0, max: 2 }),
        (value, before, after, ...how) => {
          const [columns, lineBreak, depth] = how;
          const base64 = wrapped(Buffer.from(before + value + after).toString("base64"), columns, lineBreak);
          const mask = createMaskSecrets([value]);
          let message = asJson(`x=\n${base64}\n\ny`);
          for (let level = 0; level < depth; level += 1) message = asJson(message);
          let text = mask(message);
          for (let level = 0; level <= depth; level += 1) text = readable(text);
          for (const masked of [text, mask(`x=\n${base64}\n\ny`)]) {
            expect(masked).toContain("***");
            expect(masked.startsWith("x=\n")).toBe(true);
            expect(masked.endsWith("\n\ny")).toBe(true);
            for (const piece of masked.slice(3, -3).replaceAll(/\s/g, "").split("***")) {
              for (const skip of [0, 1, 2, 3])
                expect(Buffer.from(piece.slice(skip), "base64").toString("latin1")).not.toContain(value);
            }
          }
        },
      ),
    );
  });

  test("in URLs, each character escaped or not, its base64 likewise", () => {
    fc.assert(
      fc.property(secret, hows, (value, how) => {
        const url = spell(value, how, urlCharacter);
        const mask = createMaskSecrets([value]);
        expect(readable(mask(asJson(`?key=${url}&x`)))).toBe("?key=***&x");
        const base64 = encodeURIComponent(Buffer.from(value).toString("base64"));
        expect(readable(mask(asJson(base64)))).toContain("***");
        // A whole URL that an upstream encodes.
        const inQuery = new URLSearchParams({ key: value }).toString();
        for (const whole of [`/x?${inQuery}`, `/${encodeURIComponent(value)}`, `//${inQuery}`]) {
          expect(readable(mask(asJson(Buffer.from(whole).toString("base64"))))).toContain("***");
        }
      }),
    );
  });
});

describe("a secret of any characters, as an environment may hold it, is not there any more", () => {
  const any = fc
    .oneof(
      fc.string({ unit: fc.constantFrom(...'ab\\\\"%41nu0 \n€ä😀{}:,'), minLength: 10, maxLength: 40 }),
      fc.string({ unit: "binary", minLength: 10, maxLength: 40 }),
    )
    // Lone surrogates reach no child; what is all backslashes and blanks is no secret.
    .filter((text) => text.isWellFormed() && text.replace(/^[\\\s]+|[\\\s]+$/g, "").length >= 10);
  const core = (text: string): string => text.trim().replace(/^\\+|\\+$/g, "");

  test("as a text of JSON, however deep", () => {
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 2 }), (value, depth) => {
        let message = asJson(`<${value}>`);
        for (let level = 0; level < depth; level += 1) message = asJson(message);
        let text = createMaskSecrets([value])(message);
        for (let level = 0; level <= depth; level += 1) text = readable(text);
        expect(text).toContain("***");
        expect(text).not.toContain(core(value));
      }),
      {
        examples: [
          // Its escape begins with one of two backslashes, of which the other would be left.
          ["\u0000         !", 1],
          // Without their backslashes they are shorter than a secret.
          ["a\\a\\aaa\\aa", 1],
          ['"aaa\\\\\\aaa', 0],
        ],
      },
    );
  });

  test("in a URL, and in base64", () => {
    fc.assert(
      fc.property(any, (value) => {
        const mask = createMaskSecrets([value]);
        for (const form of [
          encodeURIComponent(value),
          new URLSearchParams({ value }).toString(),
          Buffer.from(`x${value}`).toString("base64"),
        ]) {
          expect(readable(mask(asJson(form)))).toContain("***");
        }
      }),
    );
  });
});

test("what holds no secret is passed on as it is, whatever it looks like", () => {
  const mask = createMaskSecrets(["Zq9-Zq9-Zq9-Zq9"]);
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(mask(text)).toBe(text);
    }),
  );
  for (const lines of ["Zq9-\n\nZq9-Zq9-Zq9", "Zq9-\n\rZq9-Zq9-Zq9", `Zq9-\n${" ".repeat(40)}Zq9-Zq9-Zq9`]) {
    expect(mask(lines)).toBe(lines);
  }
  const odd = '{"a":"\\\\\\\\ \\u00e9 %41 %zz 100% \\/ \\" 9007199254740993","b":1.10}';
  expect(mask(odd)).toBe(odd);
});

test("every secret of several is masked, also where one holds another", () => {
  const mask = createMaskSecrets(["abcdefgh", "xx-abcdefgh-yy"]);
  expect(mask('["xx-abcdefgh-yy","abcdefgh","xx-abcde\\u0066gh-yy"]')).not.toMatch(/abcde/);
});

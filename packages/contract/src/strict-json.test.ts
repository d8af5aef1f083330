// Named cases of the strict reader: what is one reading, what is none, and how numbers compare.
import { describe, expect, test } from "vitest";
import {
  compareNumbers,
  ExactNumber,
  equalJson,
  foldName,
  type JsonObject,
  type JsonValue,
  memberCut,
  parseStrictJson,
  parseStrictJsonText,
  type StrictJsonOptions,
  writeJson,
} from "./strict-json.ts";

function readText(text: string, options?: StrictJsonOptions): JsonValue {
  const result = parseStrictJsonText(text, options);
  if (result.kind !== "value") throw new Error(`${result.detail} at ${result.offset}`);
  return result.value;
}

function faultOf(input: string | number[], options?: StrictJsonOptions): string {
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : Uint8Array.from(input);
  const result = parseStrictJson(bytes, options);
  return result.kind === "fault" ? result.detail : `value ${writeJson(result.value)}`;
}

describe("R-DENY-4 what has no single reading is a fault", () => {
  test.each([
    ["an empty document", "", "the document ends too early"],
    ["trailing bytes", "{} x", "something follows the document"],
    ["two documents", "1 2", "something follows the document"],
    ["a NUL after the document", "{}\u0000", "something follows the document"],
    ["a trailing comma in an array", "[1,]", "a value is expected here"],
    ["a trailing comma in an object", '{"a":1,}', "a member name is expected here"],
    ["a bare name", "{a:1}", "a member name is expected here"],
    ["single quotes", "{'a':1}", "a member name is expected here"],
    ["a comment", "/**/1", "a value is expected here"],
    ["NaN", "NaN", "a value is expected here"],
    ["a truncated word", "tru", "a value is expected here"],
    ["a leading zero", "01", "a leading zero"],
    ["a negative leading zero", "-01", "a leading zero"],
    ["a plus sign", "+1", "a value is expected here"],
    ["a number that ends in a point", "1.", "a digit is expected here"],
    ["a number that begins with a point", ".5", "a value is expected here"],
    ["an empty exponent", "1e+", "a digit is expected here"],
    ["a lone minus", "-", "a digit is expected here"],
    ["hexadecimal", "0x10", "something follows the document"],
    ["a control character", '"a\u0001"', "a control character in a string"],
    ["a raw line feed", '"a\n"', "a control character in a string"],
    ["a string without end", '"a', "a string does not end"],
    ["an unknown escape", '"\\x41"', "there is no such escape"],
    ["a short escape", '"\\u12g4"', "an escape needs four hexadecimal digits"],
    ["an escaped high surrogate alone", '"\\ud83d"', "a lone surrogate"],
    ["an escaped low surrogate alone", '"\\ude00"', "a lone surrogate"],
    ["two escaped high surrogates", '"\\ud83d\\ud83d"', "a lone surrogate"],
    ["a non-breaking space as white space", "\u00a01", "a value is expected here"],
    ["a byte order mark", "\ufeff{}", "a byte order mark"],
    ["a number without bound", "1".repeat(1025), "a number of more than 1024 characters"],
  ])("%s", (_name, text, detail) => {
    expect(faultOf(text)).toBe(detail);
  });

  test.each([
    ["a lone continuation byte", [0x22, 0x80, 0x22]],
    ["an overlong slash", [0x22, 0xc0, 0xaf, 0x22]],
    ["an encoded surrogate", [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ["beyond Unicode", [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]],
    ["a truncated sequence", [0x22, 0xf0, 0x9f, 0x98, 0x22]],
    ["UTF-16", [0xff, 0xfe, 0x31, 0x00]],
  ])("bytes that are not UTF-8: %s", (_name, bytes) => {
    expect(faultOf(bytes)).toBe("not valid UTF-8");
  });

  test("a raw lone surrogate in a text is a fault, also beside an escaped one", () => {
    expect(parseStrictJsonText('"\ud83d"').kind).toBe("fault");
    expect(parseStrictJsonText('"\udc00\udc00"').kind).toBe("fault");
    expect(parseStrictJsonText('"\\ud83d\ude00"').kind).toBe("fault");
    expect(readText('"\\ud83d\\ude00"')).toBe("😀");
  });

  test.each([
    ["the same name", '{"a":1,"a":2}'],
    ["the same name, once escaped", '{"a":1,"\\u0061":2}'],
    ["another case, upper last", '{"name":1,"Name":2}'],
    ["another case, upper first", '{"Name":1,"name":2}'],
    ["the Kelvin sign", '{"key":1,"\u212aey":2}'],
    ["the long s", '{"args":1,"arg\u017f":2}'],
    ["sharp s, capital", '{"\u00df":1,"\u1e9e":2}'],
    ["sharp s as two letters", '{"SS":1,"\u00df":2}'],
    ["final sigma", '{"\u03b1\u03c3":1,"\u03b1\u03c2":2}'],
    ["the dotted I", '{"id":1,"\u0130d":2}'],
    ["the dotless i", '{"id":1,"\u0131d":2}'],
    ["__proto__ twice", '{"__proto__":1,"__proto__":2}'],
    ["deep inside", '{"x":[{"b":1,"c":2,"B":3}]}'],
  ])("trap-22 duplicate member names are refused: %s", (_name, text) => {
    expect(faultOf(text)).toMatch(/occurs twice/);
  });

  test("depth is counted in containers, and one more than allowed is a fault", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(faultOf(nested(32))).toMatch(/^value/);
    expect(faultOf(nested(33))).toBe("deeper than 32");
    expect(faultOf(nested(1_000_000))).toBe("deeper than 32");
    expect(faultOf('{"a":[1]}', { depthMax: 1 })).toBe("deeper than 1");
    expect(faultOf("1", { depthMax: 0 })).toBe("value 1");
  });

  test("a document longer than allowed is a fault before it is read", () => {
    expect(faultOf("[1,2]", { lengthMax: 4 })).toBe("longer than 4 bytes");
    expect(faultOf("[1,2]", { lengthMax: 5 })).toBe("value [1,2]");
  });
});

test("folding joins every letter with its upper and its lower case", () => {
  for (let point = 0; point <= 0x10ffff; point += 1) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const letter = String.fromCodePoint(point);
    const folding = foldName(letter);
    if (folding === letter) continue;
    expect(foldName(letter.toUpperCase()), `U+${point.toString(16)}`).toBe(folding);
    expect(foldName(letter.toLowerCase()), `U+${point.toString(16)}`).toBe(folding);
    expect(foldName(folding)).toBe(folding);
  }
});

test("names that mean something to JavaScript are ordinary names", () => {
  const value = readText('{"__proto__":{"admin":true},"constructor":1,"hasOwnProperty":2,"toString":3}') as JsonObject;
  expect(Object.getPrototypeOf(value)).toBeNull();
  expect(Object.keys(value)).toEqual(["__proto__", "constructor", "hasOwnProperty", "toString"]);
  // A name that is absent must not be found on any prototype.
  for (const name of ["valueOf", "isPrototypeOf"]) expect(value[name]).toBeUndefined();
  expect("admin" in {}).toBe(false);
});

describe("trap-55 numbers keep their lexeme and are never rounded", () => {
  test.each(["9007199254740993", "1.10", "1e400", "-0", "1E5", "0.1e1", "123456789012345678901234567890", "1e21"])(
    "%s stays as written",
    (lexeme) => {
      const value = readText(lexeme);
      expect(value).toEqual(new ExactNumber(lexeme));
      expect(writeJson(value)).toBe(lexeme);
    },
  );

  test.each(["0", "-1", "1.5", "9007199254740992", "1e+21", "1e-7", "999999999999999", "-999999999999999"])(
    "%s is a plain number",
    (lexeme) => {
      expect(readText(lexeme)).toBe(Number(lexeme));
    },
  );

  test.each([
    ["9007199254740993", "9007199254740992", 1],
    ["1.10", "1.1", 0],
    ["-0", "0", 0],
    ["0e5", "-0.000", 0],
    ["100e-2", "1", 0],
    ["1e99999999999999999999999", "1e99999999999999999999998", 1],
    ["-1e99999999999999999999999", "1", -1],
    ["10e99999999999999999999998", "1e99999999999999999999999", 0],
    ["1e-99999999999999999999999", "0", 1],
    ["0.000123", "1.23E-4", 0],
    ["99.999999999999999999999999", "100", -1],
    ["-2.50", "-2.5000000000000000000000001", 1],
    ["100", "1e2", 0],
  ])("%s against %s is %d", (left, right, order) => {
    const a = readText(left) as number | ExactNumber;
    const b = readText(right) as number | ExactNumber;
    expect(compareNumbers(a, b)).toBe(order);
    expect(compareNumbers(b, a)).toBe(order === 0 ? 0 : -order);
  });
});

test("equality is by value, in depth, and never across types", () => {
  expect(equalJson(readText('{"a":[1.0,{"b":null}],"c":"x"}'), readText('{"c":"x","a":[1,{"b":null}]}'))).toBe(true);
  expect(equalJson(readText('{"a":1}'), readText('{"b":1}'))).toBe(false);
  expect(equalJson(readText("[1,2]"), readText("[2,1]"))).toBe(false);
  expect(equalJson(readText("[]"), readText("{}"))).toBe(false);
  expect(equalJson(readText("{}"), readText("[]"))).toBe(false);
  expect(equalJson(readText("1"), readText('"1"'))).toBe(false);
  expect(equalJson(readText("1.0"), readText("{}"))).toBe(false);
  expect(equalJson(readText("0"), readText("false"))).toBe(false);
  expect(equalJson(readText("null"), readText("{}"))).toBe(false);
  expect(equalJson(readText('{"__proto__":1}'), readText('{"x":1}'))).toBe(false);
});

describe("spans", () => {
  const text = ' { "id" : 7 , "params" : {"name":"x","_meta":{"progressToken":"p"},"arguments":{"a": 1.0 }} } ';
  const spans = ["id", "params", "params.name", "params.arguments", "params._meta.progressToken", "absent.x"];

  test("the spans of wanted members are their exact texts", () => {
    const result = parseStrictJsonText(text, { spans });
    if (result.kind !== "value") throw new Error(result.detail);
    const found = [...result.spans].map(([path, span]) => [path, text.slice(span.start, span.end)]);
    expect(Object.fromEntries(found)).toEqual({
      id: "7",
      params: '{"name":"x","_meta":{"progressToken":"p"},"arguments":{"a": 1.0 }}',
      "params.name": '"x"',
      "params.arguments": '{"a": 1.0 }',
      "params._meta.progressToken": '"p"',
    });
  });

  test("a member whose name holds a dot is not the member of a path", () => {
    const result = parseStrictJsonText('{"params.name":1}', { spans });
    expect(result.kind === "value" && result.spans.size).toBe(0);
  });

  test("an element of an array has no path", () => {
    const result = parseStrictJsonText('[{"id":1}]', { spans });
    expect(result.kind === "value" && result.spans.size).toBe(0);
  });

  test.each([
    ['{"id":1}', "{}"],
    ['{"id":1,"b":2}', '{"b":2}'],
    ['{"a":0 , "id":1}', '{"a":0 }'],
    ['{"a":0,"id":1,"b":2}', '{"a":0,"b":2}'],
    ['{ "id" : 1 , "b":2}', '{  "b":2}'],
  ])("cutting a member out of %s leaves %s", (whole, rest) => {
    const result = parseStrictJsonText(whole, { spans });
    if (result.kind !== "value") throw new Error(result.detail);
    const span = result.spans.get("id");
    if (span === undefined) throw new Error("no span");
    const cut = memberCut(whole, span);
    expect(whole.slice(0, cut.start) + whole.slice(cut.end)).toBe(rest);
  });
});

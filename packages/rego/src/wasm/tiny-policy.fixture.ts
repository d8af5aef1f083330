/**
 * A policy module in the ABI of OPA's compiler (1.2), put together by hand, because compiling a real one takes OPA itself.
 * A value in its memory is its JSON text, ended by NUL. Its entry points: `tiny/echo` is the input, `tiny/nothing` is
 * undefined, `tiny/base` is `data`, `tiny/trap` traps, and `tiny/size` is the built-in `count` of the input.
 */

const I32 = 0x7f;
const END = 0x0b;

const TEXTS = {
  builtins: '{"count":0}',
  entrypoints: '{"tiny/echo":0,"tiny/nothing":1,"tiny/base":2,"tiny/trap":3,"tiny/size":4}',
  empty: "[]",
  prefix: '[{"result":',
  suffix: "}]",
} as const;
const TEXTS_AT = 1_024;
const HEAP_AT = 4_096;

/** Unsigned LEB128. */
function number(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...number(value >>> 7)];
}

/** `i32.const`; its operand is signed. */
function constant(value: number): number[] {
  const bytes = [0x41];
  let rest = value;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    if (rest === 0 && (low & 0x40) === 0) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...number(items.length), ...items.flat()];
}

function name(text: string): number[] {
  const bytes = [...new TextEncoder().encode(text)];
  return [...number(bytes.length), ...bytes];
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const content = list(items);
  return [id, ...number(content.length), ...content];
}

function functionType(params: number, results: number): number[] {
  return [0x60, ...list(Array(params).fill([I32])), ...list(Array(results).fill([I32]))];
}

/** A function body with `locals` variables besides its parameters. */
function body(locals: number, code: readonly number[]): number[] {
  const content = [...(locals === 0 ? [0] : [1, locals, I32]), ...code, END];
  return [...number(content.length), ...content];
}

const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const getHeap = [0x23, 0];
const setHeap = [0x24, 0];
const ADD = 0x6a;
const EQUAL = 0x46;
const LOAD_BYTE = [0x2d, 0, 0];
const STORE_BYTE = [0x3a, 0, 0];
const RETURN = 0x0f;
const whenTrue = (code: readonly number[]) => [0x04, 0x40, ...code, END];

export function tinyPolicy(): Uint8Array<ArrayBuffer> {
  const places: Record<string, number> = {};
  let at = TEXTS_AT;
  const data: number[] = [];
  for (const [key, text] of Object.entries(TEXTS)) {
    places[key] = at + data.length;
    data.push(...new TextEncoder().encode(text), 0);
  }
  at += data.length;
  const place = (key: keyof typeof TEXTS) => constant(places[key] ?? 0);

  const WRAP = 1;
  const copy = (key: "prefix" | "suffix") => [
    ...[...getHeap, ...place(key), ...constant(TEXTS[key].length), 0xfc, 0x0a, 0, 0],
    ...[...getHeap, ...constant(TEXTS[key].length), ADD, ...setHeap],
  ];
  // Parameter 0 is a value; local 1 is where the result begins, local 2 the byte at hand.
  const wrap = [
    ...getHeap,
    ...set(1),
    ...copy("prefix"),
    ...[0x02, 0x40, 0x03, 0x40], // block, loop
    ...[...get(0), ...LOAD_BYTE, ...set(2)],
    ...[...get(2), 0x45, 0x0d, 1], // leave the block at NUL
    ...[...getHeap, ...get(2), ...STORE_BYTE],
    ...[...getHeap, ...constant(1), ADD, ...setHeap],
    ...[...get(0), ...constant(1), ADD, ...set(0)],
    ...[0x0c, 0, END, END],
    ...copy("suffix"),
    ...[...getHeap, ...constant(0), ...STORE_BYTE],
    ...[...getHeap, ...constant(1), ADD, ...setHeap],
    ...get(1),
  ];
  const isEntry = (entry: number) => [...get(1), ...constant(entry), EQUAL];
  // Parameters: reserved, entry point, data, input, its length, heap, format; local 7 is what the built-in answered.
  const evaluate = [
    ...[...get(5), ...constant(0), ...STORE_BYTE],
    ...[...get(5), ...constant(1), ADD, ...setHeap],
    ...[
      ...isEntry(0),
      ...whenTrue([...get(3), 0x45, ...whenTrue([...place("empty"), RETURN]), ...get(3), 0x10, WRAP, RETURN]),
    ],
    ...[...isEntry(2), ...whenTrue([...get(2), 0x10, WRAP, RETURN])],
    ...[...isEntry(3), ...whenTrue([0x00])],
    ...isEntry(4),
    ...whenTrue([
      ...[...constant(0), ...constant(0), ...get(3), 0x10, 0, ...set(7)],
      ...[...get(7), 0x45, ...whenTrue([...place("empty"), RETURN]), ...get(7), 0x10, WRAP, RETURN],
    ]),
    ...place("empty"),
  ];
  const malloc = [...getHeap, ...getHeap, ...get(0), ADD, ...constant(1), ADD, ...setHeap];
  const functions: readonly (readonly [string, number, readonly number[]])[] = [
    ["wrap", 1, body(2, wrap)],
    ["builtins", 0, body(0, place("builtins"))],
    ["entrypoints", 0, body(0, place("entrypoints"))],
    ["opa_json_dump", 1, body(0, get(0))],
    ["opa_json_parse", 3, body(0, [...get(0), ...get(1), ADD, ...constant(0), ...STORE_BYTE, ...get(0)])],
    ["opa_malloc", 1, body(0, malloc)],
    ["opa_heap_ptr_get", 0, body(0, getHeap)],
    ["opa_heap_ptr_set", 2, body(0, [...get(0), ...setHeap])],
    ["opa_eval", 4, body(1, evaluate)],
  ];
  const fixedGlobal = (value: number) => [I32, 0, ...constant(value), END];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [
      functionType(0, 1),
      functionType(1, 1),
      functionType(1, 0),
      functionType(2, 1),
      functionType(7, 1),
      functionType(3, 1),
    ]),
    ...section(2, [
      [...name("env"), ...name("memory"), 0x02, 0, 1],
      [...name("env"), ...name("opa_builtin1"), 0x00, 5],
    ]),
    ...section(
      3,
      functions.map(([, type]) => [type]),
    ),
    ...section(6, [[I32, 1, ...constant(HEAP_AT), END], fixedGlobal(1), fixedGlobal(2)]),
    ...section(7, [
      ...functions.map(([key], index) => [...name(key), 0x00, index + 1]),
      [...name("opa_wasm_abi_version"), 0x03, 1],
      [...name("opa_wasm_abi_minor_version"), 0x03, 2],
    ]),
    ...section(
      10,
      functions.map(([, , code]) => code),
    ),
    ...section(11, [[0, ...constant(TEXTS_AT), END, ...number(data.length), ...data]]),
  ]);
}

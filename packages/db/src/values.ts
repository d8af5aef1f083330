/**
 * How values travel: parameters as Postgres text, results from Postgres text by type. Both engines use it, so that a
 * statement behaves alike on both. Parameters carry no type of their own; the statement decides (`$1::uuid[]`).
 * Knows nothing of connections.
 */
import type { SqlValue } from "./database.ts";

type TextParser = (text: string) => unknown;

/** Text of one parameter, null for SQL NULL. Throws `TypeError` for what `SqlValue` does not allow. */
function encodeValue(value: SqlValue): string | null {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value === null) return null;
  if (value instanceof Uint8Array) return encodeBytes(value);
  if (Array.isArray(value)) return encodeArray(value);
  throw new TypeError(`a parameter must be a SqlValue, not ${typeof value}`);
}

export function encodeValues(values: readonly SqlValue[] | undefined): (string | null)[] {
  return values === undefined ? [] : values.map(encodeValue);
}

function encodeBytes(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")}`;
}

function encodeArray(items: readonly (string | number | bigint)[]): string {
  let text = "{";
  for (let index = 0; index < items.length; index++) {
    if (index > 0) text += ",";
    const item = items[index];
    if (typeof item === "string") text += quoteElement(item);
    else if (typeof item === "number" || typeof item === "bigint") text += String(item);
    else throw new TypeError("an array parameter must hold text, numbers or bigint");
  }
  return `${text}}`;
}

const needsEscape = /["\\]/;

function quoteElement(text: string): string {
  return needsEscape.test(text) ? `"${text.replace(/["\\]/g, "\\$&")}"` : `"${text}"`;
}

function parseInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`the integer ${text} is not a safe JavaScript integer`);
  return value;
}

function parseBytes(text: string): Uint8Array {
  // The session fixes bytea_output to hex, so the text always begins with \x.
  // Copied, because small buffers share one allocation, which would leave with a buffer that somebody transfers.
  return new Uint8Array(Buffer.from(text.slice(2), "hex"));
}

function parseBoolean(text: string): boolean {
  return text === "t";
}

function identity(text: string): string {
  return text;
}

/** Parses the text of an array of any depth; elements by `element`, NULL as null. */
function parseArray(text: string, element: TextParser): unknown[] {
  // Arrays with other lower bounds print them first: [2:3]={1,2}.
  let position = text.indexOf("{");
  const parseLevel = (): unknown[] => {
    const items: unknown[] = [];
    position++;
    while (position < text.length && text[position] !== "}") {
      const character = text[position];
      if (character === ",") {
        position++;
      } else if (character === "{") {
        items.push(parseLevel());
      } else if (character === '"') {
        items.push(element(readQuoted()));
      } else {
        const start = position;
        while (text[position] !== "," && text[position] !== "}") position++;
        const word = text.slice(start, position);
        items.push(word === "NULL" ? null : element(word));
      }
    }
    position++;
    return items;
  };
  const readQuoted = (): string => {
    let start = ++position;
    let value = "";
    for (;;) {
      const character = text[position];
      if (character === "\\") {
        value += text.slice(start, position);
        start = position + 1;
        position += 2;
      } else if (character === '"') {
        value += text.slice(start, position++);
        return value;
      } else {
        position++;
      }
    }
  };
  return parseLevel();
}

/** [type, its array type, parser]; types that are not here come back as their text, their arrays too. */
const table: readonly (readonly [oid: number, arrayOid: number, parser: TextParser])[] = [
  [16, 1000, parseBoolean], // bool
  [17, 1001, parseBytes], // bytea
  [18, 1002, identity], // "char"
  [19, 1003, identity], // name
  [20, 1016, parseInteger], // int8
  [21, 1005, parseInteger], // int2
  [23, 1007, parseInteger], // int4
  [25, 1009, identity], // text
  [26, 1028, parseInteger], // oid
  [114, 199, identity], // json
  [700, 1021, Number], // float4
  [701, 1022, Number], // float8
  [1042, 1014, identity], // bpchar
  [1043, 1015, identity], // varchar
  [1082, 1182, identity], // date
  [1114, 1115, identity], // timestamp
  [1184, 1185, identity], // timestamptz
  [1700, 1231, identity], // numeric
  [2950, 2951, identity], // uuid
  [3802, 3807, identity], // jsonb
];

/** Parser of each known type by its oid. A missing entry means: keep the text. */
export const textParsers: ReadonlyMap<number, TextParser> = new Map(
  table.flatMap(([oid, arrayOid, parser]): [number, TextParser][] => [
    [oid, parser],
    [arrayOid, (text) => parseArray(text, parser)],
  ]),
);

/** The text of `writ.tenants`. Throws `TypeError` for an identifier that could be read as two. */
export function encodeTenants(tenants: readonly string[]): string {
  for (const tenant of tenants) {
    if (!/^[0-9A-Za-z_-]+$/.test(tenant)) throw new TypeError("a tenant identifier has letters, digits, - and _ only");
  }
  return tenants.join(",");
}

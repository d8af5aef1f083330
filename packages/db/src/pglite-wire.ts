/**
 * The little of the Postgres wire protocol that the embedded database needs: an exchange of prepared statements ended
 * by one Sync, or one script, written as bytes; and its answer read. After an error Postgres skips everything up to
 * Sync, so a statement never runs when one before it in its exchange has failed. Bytes only: no threads, no queues.
 */
import { DatabaseError, type Row } from "./database.ts";
import { textParsers } from "./values.ts";

/** A statement that Postgres keeps under `name`; `columns` is known once it has been described. */
export interface PreparedStatement {
  readonly name: string;
  readonly text: string;
  columns: readonly Column[] | undefined;
}

export interface Column {
  readonly name: string;
  readonly parse: ((text: string) => unknown) | undefined;
}

export interface ExchangeStatement {
  readonly statement: PreparedStatement;
  readonly values: readonly (string | null)[];
}

export interface ExchangeAnswer {
  /** Rows of the last statement. */
  readonly rows: readonly Row[];
  /** Command tag of the last statement that completed, such as `INSERT 0 1`. */
  readonly tag: string;
  readonly error: DatabaseError | undefined;
  /** `I` idle, `T` in a transaction, `E` in a failed one. */
  readonly status: string;
  readonly notifications: readonly { readonly channel: string; readonly payload: string }[];
}

const letters = {
  parse: 0x50, // P
  bind: 0x42, // B
  describe: 0x44, // D
  execute: 0x45, // E
  sync: 0x53, // S
  query: 0x51, // Q
} as const;

/** Bytes of an exchange in a buffer of their own, which may be transferred. */
export function encodeExchange(statements: readonly ExchangeStatement[]): Uint8Array {
  let size = 5;
  const lengths: number[] = [];
  for (const { statement, values } of statements) {
    const name = statement.name.length;
    if (statement.columns === undefined)
      size += 5 + name + 1 + Buffer.byteLength(statement.text) + 1 + 2 + 5 + 2 + name;
    size += 5 + 1 + name + 1 + 2 + 2 + 2 + 5 + 1 + 4;
    for (const value of values) {
      const length = value === null ? 0 : Buffer.byteLength(value);
      lengths.push(length);
      size += 4 + length;
    }
  }
  const buffer = Buffer.allocUnsafeSlow(size);
  let position = 0;
  let start = 0;
  const open = (letter: number): void => {
    buffer[position] = letter;
    start = position + 1;
    position += 5;
  };
  const close = (): void => {
    buffer.writeInt32BE(position - start, start);
  };
  const text = (value: string): void => {
    position += buffer.write(value, position);
    buffer[position++] = 0;
  };
  const int16 = (value: number): void => {
    position = buffer.writeUInt16BE(value, position);
  };
  let parameter = 0;
  for (const { statement, values } of statements) {
    if (statement.columns === undefined) {
      open(letters.parse);
      text(statement.name);
      text(statement.text);
      int16(0);
      close();
      open(letters.describe);
      buffer[position++] = letters.sync; // "S": a statement, not a portal.
      text(statement.name);
      close();
    }
    open(letters.bind);
    buffer[position++] = 0;
    text(statement.name);
    int16(0);
    int16(values.length);
    for (const value of values) {
      const length = lengths[parameter++] ?? 0;
      position = buffer.writeInt32BE(value === null ? -1 : length, position);
      if (value !== null) position += buffer.write(value, position);
    }
    int16(0);
    close();
    open(letters.execute);
    buffer[position++] = 0;
    position = buffer.writeInt32BE(0, position);
    close();
  }
  open(letters.sync);
  close();
  return buffer.subarray(0, position);
}

/** Bytes of a script: any number of statements, one transaction unless it says otherwise. */
export function encodeScript(text: string): Uint8Array {
  const length = Buffer.byteLength(text);
  const buffer = Buffer.allocUnsafeSlow(length + 6);
  buffer[0] = letters.query;
  buffer.writeInt32BE(length + 5, 1);
  buffer.write(text, 5);
  buffer[length + 5] = 0;
  return buffer;
}

/**
 * Reads the answer to `statements` (none for a script) and notes the columns of those described for the first time.
 * Throws `DatabaseError` 22003 for an integer that JavaScript cannot hold: the statement has run all the same.
 */
export function decodeAnswer(bytes: Uint8Array, statements: readonly ExchangeStatement[]): ExchangeAnswer {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: Row[] = [];
  const notifications: { channel: string; payload: string }[] = [];
  let tag = "";
  let status = "I";
  let error: DatabaseError | undefined;
  let unreadable: DatabaseError | undefined;
  let completed = 0;
  let position = 0;
  while (position < buffer.length) {
    const letter = buffer[position];
    const body = position + 5;
    const end = position + 1 + buffer.readInt32BE(position + 1);
    const current = statements[completed]?.statement;
    switch (letter) {
      case 0x44: // DataRow
        if (completed === statements.length - 1 && current?.columns !== undefined && unreadable === undefined) {
          try {
            rows.push(decodeRow(buffer, body, current.columns));
          } catch (cause) {
            // A parser's complaint becomes a failure of the whole statement, after the answer has been read.
            unreadable = new DatabaseError("22003", cause instanceof Error ? cause.message : String(cause), { cause });
          }
        }
        break;
      case 0x54: // RowDescription
        if (current !== undefined) current.columns = decodeColumns(buffer, body);
        break;
      case 0x6e: // NoData
        if (current !== undefined) current.columns = [];
        break;
      case 0x43: // CommandComplete
        tag = buffer.toString("utf8", body, end - 1);
        completed++;
        break;
      case 0x49: // EmptyQueryResponse
        completed++;
        break;
      case 0x45: // ErrorResponse
        error ??= decodeError(buffer, body, end);
        break;
      case 0x41: {
        // NotificationResponse: process id, channel, payload
        const channelEnd = buffer.indexOf(0, body + 4);
        notifications.push({
          channel: buffer.toString("utf8", body + 4, channelEnd),
          payload: buffer.toString("utf8", channelEnd + 1, end - 1),
        });
        break;
      }
      case 0x5a: // ReadyForQuery
        status = String.fromCharCode(buffer[body] ?? 0);
        break;
      default:
        // Completions, parameter descriptions, notices: nothing to learn from them.
        break;
    }
    position = end;
  }
  return { rows, tag, error: error ?? unreadable, status, notifications };
}

function decodeColumns(buffer: Buffer, start: number): Column[] {
  const count = buffer.readUInt16BE(start);
  let position = start + 2;
  const columns: Column[] = [];
  for (let index = 0; index < count; index++) {
    const nameEnd = buffer.indexOf(0, position);
    const name = buffer.toString("utf8", position, nameEnd);
    // After the name: table (4 bytes), column (2), type (4), size (2), modifier (4), format (2).
    columns.push({ name, parse: textParsers.get(buffer.readUInt32BE(nameEnd + 7)) });
    position = nameEnd + 19;
  }
  return columns;
}

function decodeRow(buffer: Buffer, start: number, columns: readonly Column[]): Row {
  const row: Record<string, unknown> = {};
  let position = start + 2;
  for (const column of columns) {
    const length = buffer.readInt32BE(position);
    position += 4;
    if (length < 0) {
      row[column.name] = null;
      continue;
    }
    const text = buffer.toString("utf8", position, position + length);
    row[column.name] = column.parse === undefined ? text : column.parse(text);
    position += length;
  }
  return row;
}

function decodeError(buffer: Buffer, start: number, end: number): DatabaseError {
  const fields = new Map<string, string>();
  let position = start;
  while (position < end && buffer[position] !== 0) {
    const valueEnd = buffer.indexOf(0, position + 1);
    fields.set(String.fromCharCode(buffer[position] ?? 0), buffer.toString("utf8", position + 1, valueEnd));
    position = valueEnd + 1;
  }
  const detail = fields.get("D");
  const cause = detail === undefined ? undefined : new Error(detail);
  return new DatabaseError(fields.get("C") ?? "XX000", fields.get("M") ?? "unknown error", { cause });
}

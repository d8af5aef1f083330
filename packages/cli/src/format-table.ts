/** Tables and texts for people. What others supplied is made harmless to a terminal here. */

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string | number | boolean | undefined;
  readonly align?: "right";
}

/** Lines with their newline: a heading, then a line for each row; `none` when there is no row. */
export function formatTable<T>(rows: readonly T[], columns: readonly Column<T>[], none = "There are none."): string {
  if (rows.length === 0) return `${none}\n`;
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => printable(String(column.value(row) ?? "–")))),
  ];
  const widths = columns.map((_column, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const lines = cells.map((line) =>
    line
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.align === "right" ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

/** Names and values below each other. */
export function formatFields(fields: readonly (readonly [string, string | number | boolean | undefined])[]): string {
  const shown = fields.filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}\n`).join("");
}

/** The text with control and format characters escaped, so that no name can move the cursor or hide a line. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/** ISO 8601 in UTC, to the second. */
export function formatTime(timeMs: number | undefined): string | undefined {
  if (timeMs === undefined) return undefined;
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

import fc from "fast-check";
import { expect, test } from "vitest";
import { formatTable, printable } from "./format-table.ts";

const COLUMNS = [
  { title: "NAME", value: (row: { name: string; count: number }) => row.name },
  { title: "COUNT", value: (row: { name: string; count: number }) => row.count, align: "right" as const },
];

test("a table aligns its columns and ends each line", () => {
  const rows = [
    { name: "a", count: 10 },
    { name: "longer", count: 5 },
  ];

  expect(formatTable(rows, COLUMNS)).toBe("NAME    COUNT\na          10\nlonger      5\n");
});

test("an empty table says that there is nothing", () => {
  expect(formatTable([], COLUMNS)).toBe("There are none.\n");
});

test("a name with terminal escapes cannot move the cursor", () => {
  expect(formatTable([{ name: "\u001b[2Jx\ny\u202e", count: 1 }], COLUMNS)).toContain("\\u{1b}[2Jx\\u{a}y\\u{202e}  ");
});

test("no text keeps a control or format character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    }),
  );
});

import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { HEADER_FAMILIES } from "../../server/header-families.ts";
import { readHeaders } from "./read-headers.ts";

interface Cases {
  readonly groups: readonly {
    readonly about: string;
    readonly fate: "refused" | "stays" | "goes on";
    readonly headers: readonly string[];
  }[];
}

const repository = new URL("../../../../../", import.meta.url);
const text = await readFile(new URL("cases/http/headers.json", repository), "utf8");
const { groups } = JSON.parse(text) as Cases; // our own file, in this shape

describe.each(groups)("a header that is about $about", ({ fate, headers }) => {
  test.each(headers)(`${fate}: %s`, (header) => {
    for (const name of [header, header.toLowerCase(), header.toUpperCase(), header.replaceAll("-", "_")]) {
      const read = readHeaders(["Accept", "*/*", name, "value", "X-Last", "1"]);
      if (fate === "refused") {
        expect(read).toEqual({ kind: "fault", detail: `the header ${header.toLowerCase()} is not passed on` });
        continue;
      }
      const own = fate === "stays" ? [] : [name.toLowerCase(), "value"];
      expect(read).toEqual({
        kind: "headers",
        headers: ["accept", "*/*", ...own, "x-last", "1", "accept-encoding", "identity"],
      });
    }
  });
});

test("docs/http.md lists the headers that do not go on, family by family", async () => {
  const page = await readFile(new URL("docs/http.md", repository), "utf8");
  const rows = page.split("\n").filter((line) => /^\| [a-z' ]+ \| (?:refused|stays) \|/i.test(line));
  expect(rows).toEqual(
    HEADER_FAMILIES.map(({ about, fate, names, prefixes }) => {
      const all = [...names, ...prefixes.map((prefix) => `${prefix}*`)].map((name) => `\`${name}\``);
      return `| ${about} | ${fate} | ${all.join(" ")} |`;
    }),
  );
});

/** Reference: every generated page is what the contract says today, and no page is left over. */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { referencePages } from "../reference-pages.ts";
import type { Check } from "./check.ts";

export const reference: Check = {
  name: "reference",
  async run(root) {
    const pages = await referencePages();
    const findings: string[] = [];
    for (const page of pages) {
      const text = await readFile(join(root, page.path), "utf8").catch(() => undefined); // a page that was never written
      if (text === undefined) findings.push(`${page.path} is missing; run npm run docs:reference\n`);
      else if (text !== page.text) findings.push(`${page.path} is out of date; run npm run docs:reference\n`);
    }
    const names = new Set(pages.map((page) => basename(page.path)));
    const present = await readdir(join(root, "docs/reference")).catch(() => []); // said above, page by page
    for (const name of present) {
      if (!names.has(name))
        findings.push(`docs/reference/${name} is not a generated page; write it elsewhere in docs/\n`);
    }
    if (findings.length > 0) return { kind: "failed", findings: findings.join("") };
    return { kind: "passed", seen: `${pages.length} pages` };
  },
};

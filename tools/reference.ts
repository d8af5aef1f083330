/** `npm run docs:reference`: writes the generated reference pages. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { referencePages } from "./reference-pages.ts";

const root = join(import.meta.dirname, "..");
for (const page of await referencePages()) {
  await mkdir(dirname(join(root, page.path)), { recursive: true });
  await writeFile(join(root, page.path), page.text);
  process.stdout.write(`${page.path}\n`);
}

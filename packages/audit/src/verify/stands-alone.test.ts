import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("R-LOG-1 the verifier imports its own folder and node:crypto, so that it cannot share a fault with the writer", () => {
  const sources = readdirSync(import.meta.dirname).filter((file) => !file.endsWith(".test.ts"));
  expect(sources).toContain("log-verifier.ts");
  for (const file of sources) {
    const text = readFileSync(`${import.meta.dirname}/${file}`, "utf8");
    const imported = [...text.matchAll(/(?:from|import\(?)\s*"([^"]+)"/g)].map(([, name]) => name);
    for (const name of imported) expect(name, file).toMatch(/^(node:crypto|\.\/[a-z-]+\.ts)$/);
  }
});

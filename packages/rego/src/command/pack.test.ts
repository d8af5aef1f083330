import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const PACKAGE = join(import.meta.dirname, "../..");
const MODULES = join(PACKAGE, "../../node_modules");
let app = "";
let installed = "";

// As `npm install` leaves it: the package below node_modules, where Node strips no types, beside what it depends on.
beforeAll(() => {
  app = mkdtempSync(join(tmpdir(), "rego-installed-"));
  installed = join(app, "node_modules/@writ/rego");
  mkdirSync(dirname(installed), { recursive: true });
  execFileSync(process.execPath, [join(PACKAGE, "bin/pack.mjs"), installed]);
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as {
    dependencies: Readonly<Record<string, string>>; // what the package of this folder has
  };
  for (const name of Object.keys(dependencies)) symlinkSync(join(MODULES, name), join(app, "node_modules", name));
}, 60_000);

afterAll(() => rmSync(app, { recursive: true, force: true }));

test("the packed library is imported as its README says", () => {
  const script = [
    'import { compile } from "@writ/rego";',
    'import { nodeCryptography } from "@writ/rego/node";',
    'const compiled = compile([{ file: "a.rego", text: "package a\\np := [input.x, crypto.md5(``)]" }]);',
    'const answer = compiled.program.evaluate("data.a.p", { input: { x: 1 }, cryptography: nodeCryptography() });',
    "console.log(JSON.stringify(answer));",
  ];
  writeFileSync(join(app, "main.mjs"), script.join("\n"));
  expect(execFileSync(process.execPath, ["main.mjs"], { cwd: app, encoding: "utf8" })).toBe(
    '{"kind":"value","value":[1,"d41d8cd98f00b204e9800998ecf8427e"]}\n',
  );
});

test("the packed command runs", () => {
  const bin = join(installed, "bin/rego.mjs");
  expect(execFileSync(process.execPath, [bin, "eval", "-f", "raw", "1 + 1"], { cwd: app, encoding: "utf8" })).toBe(
    "2\n",
  );
});

test("every entry of the packed package has declarations", () => {
  const { exports } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as {
    exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>; // as it is written
  };
  expect(Object.keys(exports)).toEqual([".", "./node", "./wasm"]);
  for (const entry of Object.values(exports)) {
    for (const path of [entry.types, entry.default]) expect(readFileSync(join(installed, path), "utf8")).not.toBe("");
  }
});

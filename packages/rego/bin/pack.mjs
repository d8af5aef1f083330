#!/usr/bin/env node
/**
 * Makes the package that can be installed outside of this repository: `node packages/rego/bin/pack.mjs FOLDER`, then
 * `npm pack FOLDER`. Node strips no types below `node_modules`, so the sources become JavaScript with declarations; the
 * rest of the package is what is here. Nothing else of the repository takes part.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const ROOT = join(HERE, "../..");
/** What the sources use came with this version. */
const NODE_LEAST = ">=20.11";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write("Name the folder that the package is made in: node packages/rego/bin/pack.mjs FOLDER\n");
  process.exitCode = 1;
} else pack(resolve(folder));

function pack(out) {
  rmSync(join(out, "lib"), { recursive: true, force: true });
  mkdirSync(join(out, "bin"), { recursive: true });
  compileSources(join(out, "lib"));
  writeFileSync(
    join(out, "bin/rego.mjs"),
    '#!/usr/bin/env node\nimport { main } from "../lib/command/main.js";\n\nawait main();\n',
  );
  cpSync(join(HERE, "README.md"), join(out, "README.md"));
  cpSync(join(ROOT, "LICENSE"), join(out, "LICENSE"));
  const {
    private: _private,
    devDependencies: _tools,
    exports,
    ...manifest
  } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
  const entries = Object.entries(exports).map(([name, source]) => {
    const path = source.replace("./src/", "./lib/").replace(/\.ts$/, "");
    return [name, { types: `${path}.d.ts`, default: `${path}.js` }];
  });
  const packed = {
    ...manifest,
    engines: { node: NODE_LEAST },
    exports: Object.fromEntries(entries),
    files: ["bin", "lib"],
  };
  writeFileSync(join(out, "package.json"), `${JSON.stringify(packed, undefined, 2)}\n`);
}

function compileSources(out) {
  const config = `${out}.tsconfig.json`;
  const source = (name) => join(HERE, "src", name);
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    rewriteRelativeImportExtensions: true,
    rootDir: join(HERE, "src"),
    outDir: out,
    typeRoots: [join(ROOT, "node_modules/@types")],
  };
  const files = ["index.ts", "node.ts", "wasm/index.ts", "command/main.ts"].map(source);
  writeFileSync(config, JSON.stringify({ extends: join(ROOT, "tsconfig.json"), compilerOptions, files, include: [] }));
  const compiler = join(ROOT, "node_modules/ts7/bin/tsc");
  execFileSync(process.execPath, [compiler, "-p", config], { stdio: "inherit" });
  rmSync(config);
}

/**
 * Layers: dependency-cruiser with the rules of .dependency-cruiser.mjs. A checker that sees no files is green, so this
 * one also fails when a source file on disk is missing from what was cruised.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runProgram } from "../run-program.ts";
import { CHECK_TIMEOUT_MS, type Check } from "./check.ts";

const CRUISER = fileURLToPath(
  new URL("../../node_modules/dependency-cruiser/bin/dependency-cruiser.mjs", import.meta.url),
);
const RULES = fileURLToPath(new URL("../../.dependency-cruiser.mjs", import.meta.url));

const FOLDERS = ["packages", "test", "bench", "examples", "tools"];

/** The part of dependency-cruiser's JSON that is read here. */
interface CruiseReport {
  readonly modules: readonly {
    readonly source: string;
    readonly dependencies: readonly { readonly module: string }[];
  }[];
  readonly summary: {
    readonly totalCruised: number;
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly rule: { readonly name: string };
      readonly cycle?: readonly { readonly name: string }[];
    }[];
  };
}

export const layers: Check = {
  name: "layers",
  async run(root) {
    const folders = FOLDERS.filter((folder) => existsSync(join(root, folder)));
    const run = await runProgram(process.execPath, [CRUISER, "--config", RULES, "--output-type", "json", ...folders], {
      cwd: root,
      timeoutMs: CHECK_TIMEOUT_MS,
    });
    const report = readReport(run.stdout);
    if (report === undefined) return { kind: "failed", findings: run.output };
    const findings = report.summary.violations.map((violation) => {
      const path = violation.cycle?.map((step) => step.name).join(" → ") ?? violation.to;
      return `${violation.rule.name}: ${violation.from} → ${path}\n`;
    });
    findings.push(...undeclaredSiblings(root, report));
    const cruised = new Set(report.modules.map((module) => module.source));
    const sources = globSync("packages/*/src/**/*.ts", { cwd: root }).filter((file) => !file.includes("/fixtures/"));
    for (const file of sources) if (!cruised.has(file)) findings.push(`not-cruised: ${file}\n`);
    if (sources.length === 0 || report.summary.totalCruised === 0) findings.push("no module was cruised\n");
    if (findings.length > 0) return { kind: "failed", findings: findings.join("") };
    if (run.exitCode !== 0) return { kind: "failed", findings: run.output };
    return { kind: "passed", seen: `${report.summary.totalCruised} modules` };
  },
};

/**
 * npm links every workspace for every other, so that an import of a sibling works whether or not the package lists it.
 * Tests may use what they like: the table of layers says which.
 */
function undeclaredSiblings(root: string, report: CruiseReport): string[] {
  const listed = new Map<string, ReadonlySet<string>>();
  const listedBy = (folder: string): ReadonlySet<string> => {
    const known = listed.get(folder);
    if (known !== undefined) return known;
    const path = join(root, folder, "package.json");
    // npm's own format; a package without a manifest lists nothing.
    const manifest = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Manifest) : {};
    const names = new Set([...Object.keys(manifest.dependencies ?? {}), manifest.name ?? ""]);
    listed.set(folder, names);
    return names;
  };
  return report.modules.flatMap(({ source, dependencies }) => {
    const folder = /^packages\/[^/]+/.exec(source)?.[0];
    if (folder === undefined || /\.(?:test|contract|fixture)\.ts$/.test(source)) return [];
    return dependencies.flatMap(({ module }) => {
      const name = /^@writ\/[^/]+/.exec(module)?.[0];
      return name === undefined || listedBy(folder).has(name) ? [] : [`undeclared: ${source} → ${module}\n`];
    });
  });
}

interface Manifest {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function readReport(text: string): CruiseReport | undefined {
  try {
    return JSON.parse(text) as CruiseReport; // dependency-cruiser's own format, pinned by its version
  } catch {
    return undefined; // a fault of the program, shown as what it printed
  }
}

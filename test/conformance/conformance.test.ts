/**
 * The official conformance suite against a fixture server that has what it asks for: directly, and through Writ. A proxy
 * must not lose a check, so the findings are equal, but for what is listed with its reason; a reason that no longer holds
 * fails. The suite sends no credential: a pass-through adds it and nothing else.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyRules, type Rig, startRig, TENANT } from "../e2e/rig.ts";
import { EXPECTED_DIFFERENCES, EXPECTED_FAILURES } from "./expected-failures.ts";
import { type PassThrough, startPassThrough } from "./pass-through.ts";
import { type Findings, runServerSuite } from "./run-suite.ts";
import { type Fixture, startFixture } from "./start-fixture.ts";

const RULES = `version: 1
rules:
  - id: all
    effect: allow
    match: { action: ["*"], upstream: [fixture-session, fixture-stateless] }
`;

const RUNS = [
  { revision: "2025-03-26", kind: "session", list: "spec-version", checksMin: 3 },
  { revision: "2025-06-18", kind: "session", list: "spec-version", checksMin: 40 },
  { revision: "2025-11-25", kind: "session", list: "requirements", checksMin: 60 },
  { revision: "2026-07-28", kind: "stateless", list: "requirements", checksMin: 60 },
] as const;

const fixtures = new Map<string, Fixture>();
let rig: Rig;

/** One server of each kind, as one upstream, for all revisions that it speaks. */
async function fixtureOf(kind: "session" | "stateless"): Promise<Fixture> {
  const known = fixtures.get(kind);
  if (known !== undefined) return known;
  const fixture = await startFixture(kind);
  fixtures.set(kind, fixture);
  await rig.addUpstream(`fixture-${kind}`, fixture.url);
  return fixture;
}

beforeAll(async () => {
  rig = await startRig();
  await applyRules(rig.admin, TENANT, RULES);
});
afterAll(async () => {
  await rig?.close();
  for (const fixture of fixtures.values()) fixture.end();
});

describe.each(RUNS)("revision $revision", ({ revision, kind, list, checksMin }) => {
  let direct: Findings;
  let through: Findings;
  let passThrough: PassThrough;

  beforeAll(async () => {
    const { url } = await fixtureOf(kind);
    passThrough = await startPassThrough({ url: rig.url(`fixture-${kind}`), bearer: await rig.mint() });
    [direct, through] = await Promise.all([
      runServerSuite(url, revision, list),
      runServerSuite(`http://localhost:${passThrough.port}/mcp`, revision, list),
    ]);
  });
  afterAll(() => passThrough?.close());

  const failuresOf = (findings: Findings): readonly string[] =>
    [...findings]
      .filter(([, { status }]) => status === "FAILURE")
      .map(([key]) => key)
      .sort();

  test("is what the suite can be run for: the fixture has what it asks for", () => {
    expect(direct.size).toBeGreaterThanOrEqual(checksMin);
    expect(failuresOf(direct)).toEqual(Object.keys(EXPECTED_FAILURES[revision] ?? {}).sort());
  });

  test("is spoken through Writ as directly, check for check", () => {
    const differences: Record<string, string> = {};
    for (const key of new Set([...direct.keys(), ...through.keys()])) {
      const [before, after] = [direct.get(key), through.get(key)];
      if (before?.status === after?.status) continue;
      differences[key] = `${before?.status ?? "not made"} -> ${after?.status ?? "not made"} ${after?.detail ?? ""}`;
    }
    expect(Object.keys(differences).sort(), JSON.stringify(differences, null, 1)).toEqual(
      Object.keys(EXPECTED_DIFFERENCES[revision] ?? {}).sort(),
    );
  });
});

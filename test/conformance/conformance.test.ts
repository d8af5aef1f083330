/**
 * The official conformance suite against a fixture server that has what it asks for: directly, and through Writ. A proxy
 * must not lose a check, so the findings are equal, but for what is listed with its reason; a reason that no longer holds
 * fails. The suite sends no credential: a pass-through adds it and nothing else.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyRules, type Rig, startRig, TENANT } from "../e2e/rig.ts";
import { EXPECTED_DIFFERENCES, EXPECTED_FAILURES } from "./expected-failures.ts";
import { type PassThrough, startPassThrough } from "./pass-through.ts";
import { type Findings, runSuite } from "./run-suite.ts";
import { type Fixture, startFixture } from "./start-fixture.ts";

const RULES = `version: 1
rules:
  - id: all
    effect: allow
    match: { action: ["*"], upstream: [fixture-session, fixture-stateless] }
`;

const FIXTURES = { "2025-11-25": "session", "2026-07-28": "stateless" } as const;

const fixtures: Fixture[] = [];
let rig: Rig;

beforeAll(async () => {
  rig = await startRig();
  await applyRules(rig.admin, TENANT, RULES);
});
afterAll(async () => {
  await rig?.close();
  for (const fixture of fixtures) fixture.end();
});

describe.each(Object.entries(FIXTURES))("revision %s", (revision, kind) => {
  let direct: Findings;
  let through: Findings;
  let passThrough: PassThrough;

  beforeAll(async () => {
    const fixture = await startFixture(kind);
    fixtures.push(fixture);
    const { url } = fixture;
    const upstream = `fixture-${kind}`;
    await rig.addUpstream(upstream, url);
    passThrough = await startPassThrough({ url: rig.url(upstream), bearer: await rig.mint() });
    direct = await runSuite(url, revision);
    through = await runSuite(`http://localhost:${passThrough.port}/mcp`, revision);
  });
  afterAll(() => passThrough?.close());

  const failuresOf = (findings: Findings): readonly string[] =>
    [...findings]
      .filter(([, { status }]) => status === "FAILURE")
      .map(([key]) => key)
      .sort();

  test("is what the suite can be run for: the fixture has what it asks for", () => {
    expect(direct.size).toBeGreaterThan(60);
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

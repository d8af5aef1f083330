/**
 * The official conformance suite's scenarios for clients, against the client that Writ is towards its upstreams: the suite
 * is the server, and what it is asked to judge comes from a whole gateway. What is not found good is listed with its
 * reason; a reason that no longer holds fails. Scenarios of authorization are for clients that people sign in with: Writ's
 * credentials for upstreams come from files.
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyRules, type Rig, startRig, TENANT } from "../e2e/rig.ts";
import type { WritUnderTest } from "./client-under-test.ts";
import { EXPECTED_CLIENT_FINDINGS } from "./expected-failures.ts";
import { type Findings, runClientSuite } from "./run-suite.ts";

/** By revision, the suite's scenarios that say something of a client besides its authorization. */
const SCENARIOS = {
  "2025-06-18": ["initialize", "tools_call"],
  "2025-11-25": [
    "initialize",
    "tools_call",
    "elicitation-sep1034-client-defaults",
    "sse-retry",
    "json-schema-2020-12-preservation",
  ],
  "2026-07-28": [
    "tools_call",
    "request-metadata",
    "sep-2322-client-request-state",
    "http-standard-headers",
    "http-custom-headers",
    "http-invalid-tool-headers",
    "json-schema-ref-no-deref",
    "json-schema-2020-12-preservation",
  ],
} as const;

/** Scenarios that run at a time: each is two processes, which mostly wait for each other. */
const TOGETHER = 4;
/** As the suite passes it on to a shell. */
const COMMAND = [process.execPath, fileURLToPath(new URL("./client-under-test.ts", import.meta.url))].join(" ");

interface Run {
  readonly revision: string;
  readonly scenario: string;
  readonly upstream: string;
}

const runs: readonly Run[] = Object.entries(SCENARIOS)
  .flatMap(([revision, scenarios]) => scenarios.map((scenario) => ({ revision, scenario })))
  .map((run, at) => ({ ...run, upstream: `suite-${at}` }));

const RULES = `version: 1
rules:
  - id: all
    effect: allow
    match: { action: ["*"], upstream: [${runs.map(({ upstream }) => upstream).join(", ")}] }
`;

const found = new Map<Run, Findings>();
let rig: Rig;

beforeAll(async () => {
  rig = await startRig();
  await applyRules(rig.admin, TENANT, RULES);
  const { adminUrl, adminKey, gatewayUrl } = rig.writ;
  const where = { adminUrl, adminKey, gatewayUrl, tenant: TENANT, token: await rig.mint() };
  const waiting = [...runs];
  const work = async (): Promise<void> => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
      const under: WritUnderTest = { ...where, upstream: run.upstream };
      const environment = { WRIT_UNDER_TEST: JSON.stringify(under) };
      found.set(run, await runClientSuite(COMMAND, run.scenario, run.revision, environment));
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
});
afterAll(() => rig?.close());

describe("Writ as a client of its upstreams", () => {
  test.each(runs)("passes $scenario of $revision", (run) => {
    const findings = found.get(run) ?? new Map();
    const listed = EXPECTED_CLIENT_FINDINGS[run.revision] ?? {};
    const bad = [...findings].filter(([, { status }]) => status !== "SUCCESS" && status !== "INFO");
    const expected = Object.keys(listed).filter((key) => key.startsWith(`${run.scenario}/`));
    expect(bad.map(([key]) => key).sort(), JSON.stringify(bad, null, 1)).toEqual(expected.sort());
    expect([...findings.values()].some(({ status }) => status === "SUCCESS")).toBe(true);
  });
});

import { expect, test } from "vitest";
import { createDenialLimit, DENIALS_RECORDED_MAX } from "./denial-limit.ts";

const denial = { tenantId: "t", node: "n", reason: "token_unknown" } as const;

test("R-RUN-1 the first denials of a minute are recorded, the rest are summarised", () => {
  const limit = createDenialLimit();
  const kinds = Array.from({ length: DENIALS_RECORDED_MAX + 2 }, () => limit.admit(denial, 1_000).kind);
  expect(kinds.filter((kind) => kind === "record")).toHaveLength(DENIALS_RECORDED_MAX);
  expect(limit.take(1_000, true)).toMatchObject([{ node: "n", count: 2 }]);
});

test("a denial that turned out to be none is not counted, recorded or summarised", () => {
  // Calls with a token minted a moment ago were told rate_denials, because the denials of others, all of them
  // withdrawn on the head, had used up the minute.
  const limit = createDenialLimit();
  for (let count = 0; count < 3 * DENIALS_RECORDED_MAX; count += 1) {
    const admission = limit.admit(denial, 1_000);
    expect(admission.kind).toBe("record");
    limit.withdraw(denial, admission);
  }
  const admissions = Array.from({ length: DENIALS_RECORDED_MAX + 1 }, () => limit.admit(denial, 1_000));
  for (const admission of admissions) limit.withdraw(denial, admission);
  expect(limit.take(1_000, true)).toEqual([]);
});

test("R-RUN-1 trap-63 holds no more counters than its bound, however many nodes are denied", () => {
  const limit = createDenialLimit();
  let recorded = 0;
  for (let node = 0; node < 30_000; node += 1) {
    const denial = { tenantId: "t", node: String(node), reason: "policy_denied" } as const;
    if (limit.admit(denial, 1_000).kind === "record") recorded += 1;
  }
  // Beyond the bound all new nodes share one counter, and so its few events.
  expect(recorded).toBe(10_000 + 20);
});

import { expect, test } from "vitest";
import { createDenialLimit, DENIALS_RECORDED_MAX } from "./denial-limit.ts";

const denial = { tenantId: "t", node: "n", reason: "token_unknown" } as const;

test("the first denials of a minute are recorded, the rest are summarised", () => {
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

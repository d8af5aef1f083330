import type { RateClaim } from "@writ/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createCallRates } from "./call-rates.ts";

test("a look says what an attempt would meet, and takes nothing from any rate", () => {
  const claim = fc
    .record({
      scope: fc.constantFrom(
        "agent" as const,
        "endpoint" as const,
        "tenant" as const,
        "node" as const,
        "node" as const,
      ),
      id: fc.integer({ min: 0, max: 130 }),
      limit: fc.integer({ min: 1, max: 3 }),
      per: fc.constantFrom("second" as const, "minute" as const),
    })
    .map(
      ({ scope, id, limit, per }): RateClaim => ({ scope, scopeId: `${scope === "node" ? id : id % 2}`, limit, per }),
    );
  const attempt = fc.record({
    claims: fc.array(claim, { minLength: 1, maxLength: 3 }),
    tenant: fc.integer({ min: 0, max: 1 }),
    looks: fc.integer({ min: 0, max: 3 }),
    passMs: fc.constantFrom(0, 0, 1, 400, 1_100),
    sweeps: fc.boolean(),
  });
  const seen = { admitted: 0, refused: 0 };
  let shared = 0;
  fc.assert(
    fc.property(fc.boolean(), fc.array(attempt, { minLength: 15, maxLength: 60 }), (isFull, attempts) => {
      const [looked, unlooked] = [
        createCallRates({ liveGateways: () => 1 }),
        createCallRates({ liveGateways: () => 1 }),
      ];
      // A root with as many nodes as have windows of their own: all further ones share one.
      for (let node = 200; isFull && node < 300; node += 1) {
        const filling: RateClaim = { scope: "node", scopeId: `${node}`, limit: 9, per: "minute" };
        for (const rates of [looked, unlooked]) rates.admit({ tenantId: "0", root: "r" }, [filling], 0);
      }
      let nowMs = 0;
      for (const { claims, tenant, looks, passMs, sweeps } of attempts) {
        nowMs += passMs;
        const rated = { tenantId: `${tenant}`, root: "r" };
        const found = Array.from({ length: looks }, () => looked.look(rated, claims, nowMs));
        const met = looked.admit(rated, claims, nowMs);
        for (const each of found) {
          if (met.kind === "refused") expect(each).toEqual(met);
          else expect(each.kind).toBe("admitted");
        }
        expect(met).toEqual(unlooked.admit(rated, claims, nowMs));
        seen[met.kind] += 1;
        if (!sweeps) continue;
        const taken = looked.take(nowMs);
        expect(taken).toEqual(unlooked.take(nowMs));
        shared += taken.length;
      }
    }),
    { numRuns: 400 },
  );
  expect(seen.admitted).toBeGreaterThan(500);
  expect(seen.refused).toBeGreaterThan(500);
  expect(shared).toBeGreaterThan(50);
});

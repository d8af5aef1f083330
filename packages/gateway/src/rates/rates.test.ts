import type { RateClaim } from "@writ/contract";
import { expect, test } from "vitest";
import { rateHeaders } from "../server/rate-headers.ts";
import { createAddressRate } from "./address-rate.ts";
import { createCallRates } from "./call-rates.ts";

const ONE = { liveGateways: () => 1 };
const OF_TENANT = { tenantId: "t", root: "r" };

function nodeRate(node: string, limit: number): RateClaim {
  return { scope: "node", scopeId: node, limit, per: "minute" };
}

test("a child made offline uses up its parent's rate, and its own does not", () => {
  const rates = createCallRates(ONE);
  const parent = nodeRate("parent", 3);
  const admit = (claims: readonly RateClaim[]) => rates.admit(OF_TENANT, claims, 0).kind;
  expect(admit([parent, nodeRate("a", 2)])).toBe("admitted");
  expect(admit([parent, nodeRate("a", 2)])).toBe("admitted");
  expect(rates.admit(OF_TENANT, [parent, nodeRate("a", 2)], 0)).toMatchObject({
    kind: "refused",
    reason: "rate_token",
  });
  expect(admit([parent, nodeRate("b", 9)])).toBe("admitted");
  expect(admit([parent, nodeRate("c", 9)])).toBe("refused");
  expect(admit([parent])).toBe("refused");
});

test("a rate of one tenant, agent or endpoint says nothing about another's", () => {
  const rates = createCallRates(ONE);
  const claim = (scope: "agent" | "endpoint" | "tenant", scopeId: string): RateClaim => ({
    scope,
    scopeId,
    limit: 1,
    per: "hour",
  });
  for (const tenantId of ["t", "u"]) {
    for (const scope of ["agent", "endpoint", "tenant"] as const) {
      const rated = { tenantId, root: "" };
      expect(rates.admit(rated, [claim(scope, "x")], 0).kind).toBe("admitted");
      expect(rates.admit(rated, [claim(scope, "x")], 0)).toMatchObject({
        kind: "refused",
        reason: `rate_${scope}`,
        retryAfterSeconds: 3_600,
      });
    }
  }
});

test("trap-38 trap-63 nodes that a holder makes for nothing share one rate below their root, and leave others theirs", () => {
  const rates = createCallRates(ONE);
  for (let node = 0; node < 100; node += 1) rates.admit(OF_TENANT, [nodeRate(`${node}`, 5)], 0);
  expect(rates.take(0)).toEqual([]);
  const more = Array.from({ length: 50 }, (_, node) => rates.admit(OF_TENANT, [nodeRate(`more ${node}`, 5)], 0).kind);
  expect(more.filter((kind) => kind === "admitted")).toHaveLength(5);
  expect(rates.take(0)).toEqual([{ table: "tokens", count: 50 }]);
  expect(rates.admit({ tenantId: "t", root: "other" }, [nodeRate("own", 5)], 0).kind).toBe("admitted");
  // All of it has left the window.
  expect(rates.admit(OF_TENANT, [nodeRate("later", 5)], 60_000).kind).toBe("admitted");
  expect(rates.take(60_000)).toEqual([]);
});

test("a gateway takes its part of a limit, and another part when others come or go", () => {
  let live = 1;
  const rates = createCallRates({ liveGateways: () => live });
  const claim: RateClaim = { scope: "tenant", scopeId: "t", limit: 10, per: "minute" };
  const admitted = (count: number) =>
    Array.from({ length: count }, () => rates.admit(OF_TENANT, [claim], 0).kind).filter((kind) => kind === "admitted");
  live = 3;
  expect(admitted(10)).toHaveLength(3);
  live = 2;
  expect(admitted(10)).toHaveLength(2);
  live = 1;
  expect(admitted(10)).toHaveLength(5);
  live = 11;
  expect(rates.admit(OF_TENANT, [claim], 0).standings).toEqual([
    { name: "tenant-minute", limit: 1, periodMs: 66_000, remaining: 0, freeInMs: 66_000 },
  ]);
});

test("an address is IPv4, mapped or not, or one /64 of IPv6; what cannot be read is one", () => {
  const rate = createAddressRate({ ...ONE, requestsPerMinute: 1 });
  const admits = (address: string) => rate.admit(address, 0).kind === "admitted";
  expect(admits("10.0.0.1")).toBe(true);
  expect(admits("::ffff:10.0.0.1")).toBe(false);
  expect(admits("10.0.0.2")).toBe(true);
  expect(admits("2001:db8:0:1::1")).toBe(true);
  expect(admits("2001:db8:0:1:ffff::9")).toBe(false);
  expect(admits("2001:db8:0:2::1")).toBe(true);
  expect(admits("fe80::1%eth0")).toBe(true);
  expect(admits("fe80::2%eth1")).toBe(false);
  expect(admits("")).toBe(true);
  expect(admits("somewhere")).toBe(false);
});

test("trap-38 addresses beyond the table's room share one rate, which is said, and are never unlimited", () => {
  const rate = createAddressRate({ ...ONE, requestsPerMinute: 3, addressesMax: 2 });
  const admitted = (count: number, from: number) =>
    Array.from({ length: count }, (_, at) => rate.admit(`10.0.1.${from + at}`, 0).kind).filter(
      (kind) => kind === "admitted",
    );
  expect(admitted(2, 0)).toHaveLength(2);
  expect(admitted(40, 2)).toHaveLength(3);
  expect(admitted(2, 0)).toHaveLength(2);
  expect(rate.take(0)).toEqual([{ table: "addresses", count: 40 }]);
  expect(rate.take(60_000)).toEqual([]);
  expect(admitted(2, 100)).toHaveLength(2);
});

test("headers tell every rate, and the older ones the one that has least left", () => {
  expect(rateHeaders([])).toEqual({});
  expect(
    rateHeaders([
      { name: "agent-minute", limit: 60, periodMs: 60_000, remaining: 7, freeInMs: 12_001 },
      { name: "token-second", limit: 5, periodMs: 1_000, remaining: 2, freeInMs: 400 },
      { name: "token-second", limit: 4, periodMs: 1_000, remaining: 3, freeInMs: 400 },
    ]),
  ).toEqual({
    "ratelimit-policy": '"agent-minute";q=60;w=60, "token-second";q=5;w=1',
    ratelimit: '"agent-minute";r=7;t=13, "token-second";r=2;t=1',
    "x-ratelimit-limit": "5",
    "x-ratelimit-remaining": "2",
    "x-ratelimit-reset": "1",
  });
});

/** An upstream that takes a call and never answers it. */
import { expect, test } from "vitest";
import { callTool } from "./load.ts";
import { makeRandom } from "./random.ts";
import { makeRig, UPSTREAM, until } from "./rig.ts";

interface Usage {
  readonly scope: string;
  readonly used: number;
  readonly reserved: number;
  readonly unknown: number;
}

test("R-BUDGET-2 trap-06 a call that times out after it was sent stays charged and is marked unknown", async () => {
  const rig = await makeRig({ random: makeRandom(1) });
  try {
    // Answers of the admin API.
    const upstream = (await rig.admin("GET", `/upstreams/${UPSTREAM}`)) as { readonly version: number };
    await rig.admin("PATCH", `/upstreams/${UPSTREAM}`, { version: upstream.version, timeoutMs: 1_000 });
    const token = rig.limitedToken(1);
    const silent = (n: number) =>
      callTool({
        gatewayUrl: rig.writ().gatewayUrl,
        upstream: UPSTREAM,
        token,
        tool: "silent",
        argumentsText: `{"n":${n}}`,
      });
    expect((await silent(1)).reason).toBe("upstream_failed");
    expect(rig.upstream.calls).toHaveLength(1);
    await until("the outcome is booked", 10_000, async () => {
      const { items } = (await rig.admin("GET", "/budgets/usage")) as { readonly items: readonly Usage[] };
      const usage = items.find((item) => item.scope === "upstream");
      return usage?.unknown === 1 && usage.reserved === 0 && usage.used === 0;
    });
    // It may have run, so the only call of this token is spent.
    expect((await silent(2)).reason).toBe("budget_exhausted");
    expect(rig.upstream.calls).toHaveLength(1);
    const report = await rig.check({ drained: true });
    expect(report.problems).toEqual([]);
    expect(report.outcomes.unknown).toBe(1);
  } finally {
    await rig.dispose();
  }
});

import { REASONS, type Reason } from "@writ/contract";
import { describe, expect, test } from "vitest";
import { encodeBroken, encodeDecisionDenial, encodeDenial } from "./encode-denial.ts";

const context = { callId: "c", idText: '"i"', tool: "t", resourceMetadataUrl: "https://g.example/meta" };
// The list is closed; its keys are the reasons.
const reasons = Object.keys(REASONS) as Reason[];
const data = {
  check: "args",
  remaining: 3,
  resetsAt: "later",
  retryAfterSeconds: 7,
  rule: "for operators",
  detail: "too",
};

describe("what an agent is told", () => {
  test.each(reasons)("of %s is a whole answer with a legal code", (reason) => {
    const answer = encodeDenial({ reason, hidden: false, data }, context);
    const body = JSON.parse(answer.body);
    expect(answer.headers["writ-call-id"]).toBe("c");
    expect(answer.body).not.toContain("operators");
    if (body.error === undefined) {
      expect(body).toMatchObject({ status: answer.status, callId: "c" });
      return;
    }
    expect(body).toMatchObject({ jsonrpc: "2.0", id: "i" });
    const legal =
      (body.error.code <= -32000 && body.error.code >= -32019) ||
      (body.error.code <= -32600 && body.error.code >= -32700);
    expect(legal).toBe(true);
  });

  test("of a hidden tool is one and the same, whatever the reason", () => {
    const answers = new Set(
      reasons
        .filter((reason) => reason !== "upstream_unknown")
        .map((reason) => JSON.stringify(encodeDenial({ reason, hidden: true, data }, context))),
    );
    expect(answers.size).toBe(1);
    const [answer = ""] = answers;
    expect(JSON.parse(JSON.parse(answer).body)).toEqual({
      jsonrpc: "2.0",
      id: "i",
      error: { code: -32602, message: "Unknown tool: t" },
    });
  });

  const asked = [
    ["a tool", { tool: "t" }, "tool_unknown"],
    ["a resource", { tool: "", named: { kind: "resource", name: "r" } }, "named_unknown"],
    ["an upstream", { tool: "" }, "upstream_unknown"],
  ] as const;
  test.each(asked)("who asks for a decision about what is hidden is what is told of none: %s", (_of, of, id) => {
    const hidden = reasons
      .map((reason) => encodeDecisionDenial({ reason, detail: "", hidden: true, data }, { ...context, ...of }))
      .filter((told) => told.kind === "decided" && told.reason === id)
      .map((told) => JSON.stringify(told));
    const missing = (["tool_unknown", "named_unknown", "upstream_unknown"] as const)
      .map((reason) => encodeDecisionDenial({ reason, detail: "", hidden: false, data }, { ...context, ...of }))
      .filter((told) => told.kind === "decided" && told.reason === id)
      .map((told) => JSON.stringify(told));
    expect(hidden.length).toBeGreaterThan(0);
    expect(missing.length).toBeGreaterThan(0);
    expect(new Set([...hidden, ...missing]).size).toBe(1);
  });

  test("of a credential never says which part of it was right", () => {
    const answers = (["token_key_unknown", "token_signature", "token_unknown"] as const).map((reason) =>
      JSON.stringify(encodeDenial({ reason, hidden: false, data: {} }, context)),
    );
    expect(new Set(answers).size).toBe(1);
  });

  test("of a rate is at least a second away", () => {
    for (const retryAfterSeconds of [undefined, 0, 0.1, -5, Number.NaN, "soon"]) {
      const answer = encodeDenial({ reason: "rate_denials", hidden: false, data: { retryAfterSeconds } }, context);
      expect(answer.headers["retry-after"]).toBe("1");
    }
  });

  test("of a call that broke names its reason and its id", () => {
    expect(JSON.parse(encodeBroken("upstream_failed", "c"))).toMatchObject({
      code: -32019,
      data: { reason: "upstream_failed", callId: "c" },
    });
  });
});

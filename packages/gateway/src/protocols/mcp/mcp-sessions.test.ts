import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createMcpSessions, MCP_SESSION_LIMITS } from "./mcp-sessions.ts";

test("an agent with many attenuated tokens does not push out the sessions of another", () => {
  // Sessions were counted per token, and a holder makes tokens for nothing: ten of them pushed out everybody's.
  const sessions = createMcpSessions({
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    random: { bytes: (length) => randomBytes(length) },
    limits: { ...MCP_SESSION_LIMITS, sessionsMax: 8, sessionsPerAgentMax: 4 },
  });
  const owner = { tokenDigest: "other", upstream: "up" };
  const kept = sessions.open({ ...owner, agent: "other", revision: "2025-11-25" });
  for (let count = 0; count < 20; count += 1) {
    sessions.open({ tokenDigest: `made-${count}`, agent: "many", upstream: "up", revision: "2025-11-25" });
  }
  expect(sessions.size()).toBe(5);
  expect(sessions.find(kept?.id ?? "", owner)).toBe(kept);
});

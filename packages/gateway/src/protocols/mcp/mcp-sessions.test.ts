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
  const opened = { tenant: "t", revision: "2025-11-25", clientCapabilities: undefined, capabilities: "{}" } as const;
  const kept = sessions.open({ ...owner, ...opened, agent: "other", id: sessions.makeId() });
  for (let count = 0; count < 20; count += 1) {
    const id = sessions.makeId();
    sessions.open({ ...opened, id, tokenDigest: `made-${count}`, agent: "many", upstream: "up" });
  }
  expect(sessions.size()).toBe(5);
  expect(sessions.find(kept?.id ?? "", owner)).toBe(kept);
});

test("trap-28 a session's id is 128 random bits and nothing else", () => {
  const bytes: Uint8Array[] = [];
  const sessions = createMcpSessions({
    clock: { nowMs: () => 1, monotonicMs: () => 1 },
    random: {
      bytes(length) {
        bytes.push(randomBytes(length));
        return bytes.at(-1) ?? new Uint8Array();
      },
    },
    limits: MCP_SESSION_LIMITS,
  });
  const ids = Array.from({ length: 100 }, () => sessions.makeId());
  expect(ids).toEqual(bytes.map((drawn) => Buffer.from(drawn).toString("base64url")));
  expect(bytes.every(({ length }) => length === 16)).toBe(true);
});

test("a session that is idle for too long is gone, and one that is in use is not", () => {
  let nowMs = 0;
  const sessions = createMcpSessions({
    clock: { nowMs: () => 0, monotonicMs: () => nowMs },
    random: { bytes: (length) => randomBytes(length) },
    limits: { ...MCP_SESSION_LIMITS, sessionIdleMs: 1_000 },
  });
  const owner = { tokenDigest: "t", upstream: "up" };
  const open = () => {
    const shared = {
      agent: "a",
      tenant: "t",
      revision: "2025-11-25",
      clientCapabilities: undefined,
      capabilities: "{}",
    } as const;
    return sessions.open({ ...owner, ...shared, id: sessions.makeId() });
  };
  const [idle, busy, forgotten] = [open(), open(), open()];
  busy?.inFlight.set("n1", { cut: new AbortController(), callId: undefined });
  nowMs = 1_000;
  expect(sessions.find(idle?.id ?? "", owner)).toBeUndefined();
  expect(sessions.find(busy?.id ?? "", owner)).toBe(busy);
  // Nobody asks for it again: it goes when another is opened.
  open();
  expect(sessions.find(forgotten?.id ?? "", owner)).toBeUndefined();
  expect(sessions.size()).toBe(2);
});

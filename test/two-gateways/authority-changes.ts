/**
 * Authority is taken away while calls run and streams are open on both gateways. Once the command has returned: no call
 * that it covers is committed as allowed, none reaches the upstream later than 250 ms, and streams give no byte later
 * than 5 s.
 */
import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { MCP_UPSTREAM_TOOLS } from "@writ/testkit";
import { type Fleet, type Tenant, UPSTREAM, until } from "./fleet.ts";
import type { OpenStream } from "./mcp-client.ts";

export const CHANGES = [
  "node revoked",
  "parent revoked",
  "instance killed",
  "tenant killed",
  "agent killed",
  "principal killed",
  "upstream killed",
  "tool killed",
  "agent suspended",
  "principal suspended",
  "tenant suspended",
  "root key retired",
  "rule added",
  "tools changed by their upstream",
] as const;
export type Change = (typeof CHANGES)[number];

export interface ChangeReport {
  readonly change: Change;
  readonly rounds: number;
  /** Calls allowed and forwarded before the commands; so that something was at stake. */
  readonly allowed: number;
  /** The latest a send reached the upstream, and a stream gave a byte, after the command had returned. */
  readonly latestSendMs: number;
  readonly latestByteMs: number;
}

const SENDS_WITHIN_MS = 250;
export const BYTES_WITHIN_MS = 5_000;

/** Loops of calls on each gateway, and open streams on each. */
const LOOPS = 3;
const STREAMS = 1;
/** Each loop is allowed this often before the change, and denied this often after it. */
const ALLOWED_BEFORE = 5;
const DENIED_AFTER = 3;
const STEP_MS = 10;

interface Target {
  readonly token: string;
  readonly agentId: string;
  /** Takes authority away; resolves when the admin API has answered. */
  take(): Promise<void>;
  /** Gives it back, where later rounds need it. */
  giveBack(): Promise<void>;
  /** Name of the event that took it, in the tenant's log; undefined when it is in the instance's. */
  readonly event: string | undefined;
}

export async function proveAuthorityChange(fleet: Fleet, change: Change, rounds: number): Promise<ChangeReport> {
  const tenant = await fleet.makeTenant(change.replaceAll(" ", "-"));
  const totals = { allowed: 0, latestSendMs: 0, latestByteMs: 0 };
  // Streams report progress for as long as they are open.
  const stepper = setInterval(() => {
    for (let step = 0; step < 2 * STREAMS; step += 1) fleet.upstream.step();
  }, STEP_MS);
  try {
    for (let round = 0; round < rounds; round += 1) {
      const target = await makeTarget(fleet, tenant, change, round);
      const seen = await runRound(fleet, tenant, target, `${change} ${round}`);
      totals.allowed += seen.allowed;
      totals.latestSendMs = Math.max(totals.latestSendMs, seen.latestSendMs);
      totals.latestByteMs = Math.max(totals.latestByteMs, seen.latestByteMs);
    }
  } finally {
    clearInterval(stepper);
  }
  return { change, rounds, ...totals };
}

async function runRound(
  fleet: Fleet,
  tenant: Tenant,
  target: Target,
  label: string,
): Promise<{ allowed: number; latestSendMs: number; latestByteMs: number }> {
  const before = await tenant.sequence();
  const streams = await Promise.all(
    fleet.gatewayUrls.flatMap((gatewayUrl) =>
      Array.from({ length: STREAMS }, () =>
        fleet.client.stream({
          gatewayUrl,
          upstream: UPSTREAM,
          token: target.token,
          tool: "slow",
          arguments: { steps: 1_000_000, wait: true },
        }),
      ),
    ),
  );
  const loops = fleet.gatewayUrls.flatMap((gatewayUrl, gateway) =>
    Array.from({ length: LOOPS }, (_value, loop) =>
      startLoop(fleet, { gatewayUrl, token: target.token, label: `${label} ${gateway}/${loop}` }),
    ),
  );
  try {
    await until(`each loop of ${label} is allowed`, () => loops.every((loop) => loop.allowed >= ALLOWED_BEFORE));
    // The upstream is in this process: what it is late by because of us is known.
    const lag = monitorEventLoopDelay({ resolution: 5 });
    lag.enable();
    await target.take();
    const returnedMs = performance.now();
    const sequenceThen = await tenant.sequence();
    await until(`each loop of ${label} is denied`, () => loops.every((loop) => loop.deniedInARow >= DENIED_AFTER));
    await allEnded(streams, BYTES_WITHIN_MS + 2_000, label);
    for (const loop of loops) loop.stop();
    await Promise.all(loops.map((loop) => loop.ended));
    lag.disable();

    const events = await tenant.events(before);
    const taken =
      target.event === undefined ? sequenceThen : events.find(({ event }) => event === target.event)?.sequence;
    assert.ok(taken !== undefined, `${label}: ${target.event} is not in the log`);
    const late = events.filter(
      ({ event, sequence, fields }) =>
        sequence > taken &&
        event === "call.decided" &&
        fields["decision"] === "allow" &&
        fields["agentId"] === target.agentId,
    );
    assert.deepEqual(late, [], `${label}: allowed after authority was taken away`);

    let latestSendMs = 0;
    for (const message of loops.flatMap((loop) => loop.messages)) {
      latestSendMs = Math.max(latestSendMs, (fleet.receivedAtMs(message) ?? 0) - returnedMs);
    }
    const lagMs = lag.max / 1e6;
    assert.ok(latestSendMs <= SENDS_WITHIN_MS + lagMs, `${label}: sent ${latestSendMs} ms later (own lag ${lagMs} ms)`);
    const latestByteMs = Math.max(0, ...streams.map((stream) => stream.lastByteMs() - returnedMs));
    assert.ok(latestByteMs <= BYTES_WITHIN_MS, `${label}: a byte of a stream ${latestByteMs} ms later`);
    const allowed = loops.reduce((sum, loop) => sum + loop.allowed, 0);
    return { allowed, latestSendMs, latestByteMs };
  } finally {
    for (const loop of loops) loop.stop();
    for (const stream of streams) stream.close();
    await Promise.all(loops.map((loop) => loop.ended));
    await target.giveBack();
  }
}

export async function allEnded(streams: readonly OpenStream[], timeoutMs: number, label: string): Promise<void> {
  let open = streams.length;
  for (const stream of streams) {
    void stream.ended.then(() => {
      open -= 1;
    });
  }
  await until(`streams of ${label} are cut`, () => open === 0, timeoutMs);
}

export interface Loop {
  allowed: number;
  deniedInARow: number;
  readonly messages: readonly string[];
  readonly ended: Promise<void>;
  /** Why the last call was denied. */
  lastReason: string;
  stop(): void;
}

/** Calls one after the other until it is stopped. */
export function startLoop(
  fleet: Fleet,
  { gatewayUrl, token, label }: { gatewayUrl: string; token: string; label: string },
): Loop {
  let stopped = false;
  const messages: string[] = [];
  const loop: Loop = {
    allowed: 0,
    deniedInARow: 0,
    messages,
    lastReason: "",
    ended: Promise.resolve(),
    stop() {
      stopped = true;
    },
  };
  const run = async (): Promise<void> => {
    while (!stopped) {
      const message = `${label} ${messages.length}`;
      messages.push(message);
      const answer = await fleet.client.call({
        gatewayUrl,
        upstream: UPSTREAM,
        token,
        tool: "echo",
        arguments: { message },
      });
      if (answer.text === message) {
        loop.allowed += 1;
        loop.deniedInARow = 0;
      } else {
        loop.deniedInARow += 1;
        loop.lastReason = answer.reason;
      }
    }
  };
  return Object.assign(loop, { ended: run() });
}

async function makeTarget(fleet: Fleet, tenant: Tenant, change: Change, round: number): Promise<Target> {
  const { admin } = fleet;
  const params = { tenant: tenant.id };
  const body = { reason: "test" };
  const nothing = async (): Promise<void> => undefined;
  const name = `target-${round}`;
  const principal = await admin.call("principals.create", { params, body: { name, type: "service" } });
  const agentId = await tenant.makeAgent(name, principal.id);
  const { token, node } = await tenant.mint(agentId);
  const kill = (scope: "agent" | "principal" | "upstream" | "tool", scopeId: string): Target => ({
    token,
    agentId,
    event: "kill.engaged",
    take: async () => {
      await admin.call("kill.engage", { params: { ...params, scope, scopeId }, body });
    },
    giveBack: async () => {
      await admin.call("kill.release", { params: { ...params, scope, scopeId } });
    },
  });
  switch (change) {
    case "node revoked":
      return {
        token,
        agentId,
        event: "token.revoked",
        take: async () => {
          await admin.call("nodes.revoke", { params: { ...params, node }, body });
        },
        giveBack: nothing,
      };
    case "parent revoked": {
      const child = await fleet.client.post(`${fleet.gatewayUrls[0]}/v1/tokens/attenuate`, token, { caveats: [] });
      assert.equal(child.status, 201, child.body);
      return {
        token: String(child.data["token"]),
        agentId,
        event: "token.revoked",
        take: async () => {
          await admin.call("nodes.revoke", { params: { ...params, node }, body });
        },
        giveBack: nothing,
      };
    }
    case "instance killed":
      return {
        token,
        agentId,
        event: undefined,
        take: async () => {
          await admin.call("instance.kill.engage", { body });
        },
        giveBack: async () => {
          await admin.call("instance.kill.release");
        },
      };
    case "tenant killed":
      return {
        token,
        agentId,
        event: "kill.engaged",
        take: async () => {
          await admin.call("kill.engage-tenant", { params, body });
        },
        giveBack: async () => {
          await admin.call("kill.release-tenant", { params });
        },
      };
    case "agent killed":
      return kill("agent", agentId);
    case "principal killed":
      return kill("principal", principal.id);
    case "upstream killed":
      return kill("upstream", UPSTREAM);
    case "tool killed": {
      // Both tools that the round uses; the second command is the one that is measured.
      const slow = kill("tool", `${UPSTREAM}/slow`);
      const echo = kill("tool", `${UPSTREAM}/echo`);
      return {
        ...echo,
        take: async () => {
          await echo.take();
          await slow.take();
        },
        giveBack: async () => {
          await echo.giveBack();
          await slow.giveBack();
        },
      };
    }
    case "agent suspended":
      return {
        token,
        agentId,
        event: "agent.updated",
        take: async () => {
          await admin.call("agents.update", {
            params: { ...params, id: agentId },
            body: { version: 1, status: "suspended" },
          });
        },
        giveBack: nothing,
      };
    case "principal suspended":
      return {
        token,
        agentId,
        event: "principal.updated",
        take: async () => {
          await admin.call("principals.update", {
            params: { ...params, id: principal.id },
            body: { version: 1, status: "suspended" },
          });
        },
        giveBack: nothing,
      };
    case "tenant suspended": {
      const set = async (status: "active" | "suspended"): Promise<void> => {
        const { version } = await admin.call("tenants.get", { params });
        await admin.call("tenants.update", { params, body: { version, status } });
      };
      return {
        token,
        agentId,
        event: "tenant.updated",
        take: () => set("suspended"),
        giveBack: () => set("active"),
      };
    }
    case "root key retired": {
      const rotated = await admin.call("root-keys.rotate", { params });
      const next = await tenant.mint(agentId);
      // The key that minted this round's token is the one that ends; a new one has taken its place.
      await admin.call("root-keys.rotate", { params });
      return {
        token: next.token,
        agentId,
        event: "root_key.retired",
        take: async () => {
          await admin.call("root-keys.retire", { params: { ...params, id: rotated.key.id } });
        },
        // A tenant holds a limited number of keys: the one of the round before goes.
        giveBack: async () => {
          await admin.call("root-keys.retire", { params: { ...params, id: rotated.previous } });
        },
      };
    }
    case "tools changed by their upstream": {
      const upstream = { params: { ...params, id: UPSTREAM } };
      return {
        token,
        agentId,
        event: "tool.quarantined",
        // One gateway reads the catalogue and quarantines by itself; the answer comes after that.
        take: async () => {
          fleet.upstream.define(
            MCP_UPSTREAM_TOOLS.map((tool) => tool.replace('"description":"', '"description":"Not ')),
          );
          await admin.call("upstreams.review", upstream);
        },
        giveBack: async () => {
          fleet.upstream.define(MCP_UPSTREAM_TOOLS);
          const { review } = await admin.call("upstreams.review", upstream);
          await admin.call("upstreams.approve", { ...upstream, body: { review } });
        },
      };
    }
    case "rule added": {
      const activate = async (id: string, expectedActive: string): Promise<void> => {
        await admin.call("policy.versions.activate", { params: { ...params, id }, body: { expectedActive } });
      };
      const { open, closed } = tenant.policies;
      return {
        token,
        agentId,
        event: "policy.activated",
        take: () => activate(closed, open),
        giveBack: () => activate(open, closed),
      };
    }
  }
}

/**
 * What the crash proofs share: Writ in a process of its own on a directory and a database that outlive it, an upstream
 * in this process that outlives it too, and the rules, tokens and budgets of a load. `check` reads the history when no
 * process has it open any more.
 */

import { createHash, randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { Database } from "@writ/db";
import { openPglite, openPostgres } from "@writ/db";
import { type McpUpstream, startMcpUpstream, startWrit, type WritProcess } from "@writ/testkit";
import { attenuateToken, makeTokenHash } from "@writ/token";
import { type CheckHistoryOptions, checkHistory, type HistoryReport } from "../invariants/check-history.ts";
import { type KeyedCall, type Load, startLoad } from "./load.ts";

export const UPSTREAM = "load";

const RULES = `version: 1
rules:
  - id: everything-of-the-load
    effect: allow
    match:
      action: [tool.call, tool.list, mcp.session, token.attenuate]
`;

/** How often a waiting `slow` call is let on. */
const STEP_EVERY_MS = 8;
/** A lease is no longer than half of this. */
const LAPSED_WITHIN_MS = 30_000;
/** A gateway looks for lapsed leases every 3 s. */
const NOTICED_WITHIN_MS = 4_000;
const LAPSE_ROUNDS_MAX = 3;
const POLL_MS = 100;

export interface RigOptions {
  /** Postgres, as Writ reaches it; the embedded database when left out. */
  readonly databaseUrl?: string;
  /** Postgres, as the check reaches it, when Writ reaches it another way. */
  readonly checkUrl?: string;
  readonly random: () => number;
}

export interface Rig {
  readonly upstream: McpUpstream;
  /** The process that runs now. */
  readonly writ: () => WritProcess;
  /** A token without a limit of calls. */
  readonly token: string;
  /** A token that may make so many calls in all, of a node of its own. */
  limitedToken(calls: number): string;
  /** Eight clients on the process that runs now. */
  load(options?: {
    readonly tokens?: readonly string[];
    readonly gatewayUrl?: string;
    readonly again?: readonly KeyedCall[];
  }): Load;
  /** Starts Writ again on the same directory. */
  restart(): Promise<void>;
  admin(method: string, route: string, body?: unknown): Promise<unknown>;
  /** Opens the history with the owner's rights; on the embedded database nothing else may have it open. */
  openHistory(): Promise<Database>;
  /** What a check compares, as it stands now; the history is opened by the caller. */
  inputs(): Omit<CheckHistoryOptions, "db">;
  /** Stops what runs, lets a process end what killed ones left open, and checks the invariants. */
  check(options?: { readonly drained?: boolean }): Promise<HistoryReport>;
  dispose(): Promise<void>;
}

export async function makeRig(options: RigOptions): Promise<Rig> {
  const { databaseUrl, random } = options;
  const upstream = await startMcpUpstream({ era: "stateless" });
  const stepper = setInterval(() => upstream.step(), STEP_EVERY_MS);
  const start = (directory?: string): Promise<WritProcess> =>
    startWrit({
      command: "serve",
      ...(directory === undefined ? {} : { directory }),
      ...(databaseUrl === undefined ? {} : { databaseUrl }),
      env: { WRIT_CHECKPOINTS_INTERVAL_SECONDS: "1" },
    });
  let writ = await start();
  const { directory, masterKey } = writ;
  const loads: Load[] = [];

  async function admin(method: string, route: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${writ.adminUrl}/v1/tenants/default${route}`, {
      method,
      headers: {
        authorization: `Bearer ${writ.adminKey}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${route} answered ${response.status}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  const dispose = async (): Promise<void> => {
    clearInterval(stepper);
    await writ.dispose();
    await upstream.close();
    await rm(directory, { recursive: true, force: true });
  };

  try {
    // The reference server would be started again with each process: it is not needed here.
    const starter = (await admin("GET", "/upstreams/everything").catch(() => undefined)) as
      | { readonly id: string; readonly version: number }
      | undefined; // an answer of the admin API
    if (starter !== undefined) await admin("DELETE", `/upstreams/${starter.id}?version=${starter.version}`);
    await admin("POST", "/upstreams", {
      name: UPSTREAM,
      transport: { type: "http", url: upstream.url },
      isolation: "shared",
      concurrencyMax: 64,
    });
    await admin("POST", `/upstreams/${UPSTREAM}/pin`);
    const active = (await admin("GET", "/policy")) as { readonly versionId: string }; // likewise
    const version = (await admin("POST", "/policy/versions", { source: RULES })) as { readonly id: string };
    await admin("POST", `/policy/versions/${version.id}/activate`, { expectedActive: active.versionId });
    const minted = (await admin("POST", "/tokens", {
      agent: "assistant",
      caveats: [{ tools: [`${UPSTREAM}/*`] }],
      expiresInSeconds: 80_000,
      label: "load",
    })) as { readonly token: string };
    const agent = (await admin("GET", "/agents/assistant")) as { readonly id: string }; // likewise
    await admin("POST", "/budgets", {
      scope: "upstream",
      scopeId: UPSTREAM,
      unit: "calls",
      window: "total",
      limit: 1_000_000,
      mode: "hard",
    });

    const hash = makeTokenHash((bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()));
    const openHistory = async (): Promise<Database> => {
      if (databaseUrl === undefined) {
        const handle = await openPglite({ dataDir: path.join(directory, "data", "db") });
        return { ...bind(handle.as("migrate")), close: () => handle.close() };
      }
      return openPostgres({
        url: options.checkUrl ?? databaseUrl,
        role: "migrate",
        poolMax: 2,
        applicationName: "check",
      });
    };
    const inputs = (): Omit<CheckHistoryOptions, "db"> => ({
      forwarded: upstream.calls.map(({ text }) => ({ argumentsText: argumentsOf(text) })),
      told: loads.flatMap((load) => load.told),
      upstream: UPSTREAM,
      masterKey,
      checkpointsFile: path.join(directory, "data-checkpoints", "checkpoints.txt"),
      checkpointKeyFile: path.join(directory, "data", "checkpoint.key"),
    });
    return {
      upstream,
      inputs,
      writ: () => writ,
      token: minted.token,
      limitedToken(calls) {
        const made = attenuateToken(hash, minted.token, {
          id: randomBytes(8).toString("hex"),
          caveats: [JSON.stringify({ calls: { limit: calls, window: "total" } })],
        });
        if (made.kind !== "attenuated") throw new Error(`the token could not be attenuated: ${made.kind}`);
        return made.token;
      },
      load({ tokens, gatewayUrl = writ.gatewayUrl, again = [] } = {}) {
        const load = startLoad({
          gatewayUrl,
          upstream: UPSTREAM,
          tokens: tokens ?? new Array<string>(8).fill(minted.token),
          fallback: minted.token,
          random,
          agentId: agent.id,
          again,
        });
        loads.push(load);
        return load;
      },
      async restart() {
        writ = await start(directory);
      },
      admin,
      openHistory,
      async check({ drained = false } = {}) {
        let code = await writ.stop();
        for (let round = 0; round < LAPSE_ROUNDS_MAX; round += 1) {
          const history = await openHistory();
          const { left, lapsesAtMs } = await readLeases(history).finally(() => history.close());
          if (left === 0) break;
          writ = await start(directory);
          await until("the leases have lapsed", LAPSED_WITHIN_MS, () => Date.now() > lapsesAtMs + NOTICED_WITHIN_MS);
          code = await writ.stop();
        }
        const db = await openHistory();
        try {
          const report = await checkHistory({ db, ...inputs(), drained });
          if (code !== 0) return { ...report, problems: [...report.problems, `writ exited with ${code} on SIGTERM`] };
          return report;
        } finally {
          await db.close();
        }
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The arguments of a request as they were received, byte for byte. */
function argumentsOf(text: string): string {
  const start = text.indexOf('"arguments":') + '"arguments":'.length;
  const end = text.indexOf("}", start) + 1; // the load's arguments hold no braces
  return text.slice(start, end);
}

function bind(db: Database): Database {
  return {
    engine: db.engine,
    query: (text, values) => db.query(text, values),
    script: (text) => db.script(text),
    transaction: (transactionOptions, work) => db.transaction(transactionOptions, work),
    listen: (channel, notify, reconnected) => db.listen(channel, notify, reconnected),
    close: () => db.close(),
  };
}

/** Leases that are left when nothing runs, and when the last of them lapses (milliseconds since the epoch). */
async function readLeases(db: Database): Promise<{ readonly left: number; readonly lapsesAtMs: number }> {
  const rows = await db.query<{ left: number; lapses_ms: number }>(
    `SELECT (SELECT count(*) FROM gateway_lease)::int4 + (SELECT count(*) FROM writ_lapsed(1000))::int4 AS left,
      (SELECT coalesce(max(expires_us), 0) / 1000 FROM gateway_lease)::int8 AS lapses_ms`,
  );
  return { left: rows[0]?.left ?? 0, lapsesAtMs: rows[0]?.lapses_ms ?? 0 };
}

/** Polls until `done` answers true; throws when it has not within `withinMs`. */
export async function until(what: string, withinMs: number, done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

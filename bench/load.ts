/**
 * The load generator, a process of its own: `node bench/load.ts '<JSON of LoadPlan>'` prints one JSON LoadResult.
 * Closed loop measures capacity: each connection sends its next call when the last was answered. Open loop measures
 * latency: calls are due at fixed times and timed from when they were due, so that a slow answer delays no other
 * call's clock. An answer counts as allowed only when it holds what an allow is answered with; denials are counted apart. Sends to
 * loopback only and stops by itself.
 */
import { readFileSync } from "node:fs";
import { type Answer, type Connection, openConnection } from "./http-connection.ts";

export interface LoadPlan {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent in turn instead of the Authorization header's token, each with `Bearer`; a file with one token a line. */
  readonly tokensFile?: string;
  /** POST unless given. */
  readonly method?: "GET" | "POST";
  /** What the body of an allowed answer holds; a JSON-RPC result unless given. */
  readonly expects?: string;
  /** The body of each call; `{{n}}` is replaced by the call's number (fixed width, so the length is constant). */
  readonly body: string;
  readonly mode: "closed" | "open";
  readonly connections: number;
  /** Open loop only: calls a second. */
  readonly rate: number;
  readonly warmupMs: number;
  readonly durationMs: number;
}

export interface LoadResult {
  readonly rps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly allowed: number;
  /** All calls that were answered, those of the warm-up too. */
  readonly answered: number;
  readonly denied: number;
  readonly errors: number;
  /** The first answer that was neither allowed nor denied, for whoever has to find out why. */
  readonly firstError: string;
  /** Latencies of the allowed calls in microseconds, in the order they were answered. */
  readonly latencies_us: readonly number[];
}

const NUMBER_WIDTH = 9;

async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const connections = await Promise.all(
    Array.from({ length: plan.connections }, () => openConnection(plan.host, plan.port)),
  );
  const tally = { allowed: 0, answered: 0, denied: 0, errors: 0, firstError: "" };
  const latencies: number[] = [];
  let sent = 0;
  const startMs = performance.now();
  const measureFromMs = startMs + plan.warmupMs;
  const endMs = measureFromMs + plan.durationMs;
  const request = makeRequest(plan);

  const one = async (connection: Connection, dueMs: number): Promise<void> => {
    sent += 1;
    let answer: Answer;
    try {
      answer = await connection.exchange(request(sent));
    } catch (error) {
      tally.errors += 1;
      tally.firstError ||= String(error);
      throw error;
    }
    const nowMs = performance.now();
    tally.answered += 1;
    if (dueMs < measureFromMs || nowMs > endMs + 5_000) return;
    switch (classify(answer, plan.expects ?? '"result"')) {
      case "allowed":
        tally.allowed += 1;
        latencies.push(Math.round((nowMs - dueMs) * 1000));
        break;
      case "denied":
        tally.denied += 1;
        break;
      case "error":
        tally.errors += 1;
        tally.firstError ||= `${answer.status} ${answer.body.slice(0, 300)}`;
        break;
    }
  };

  if (plan.mode === "closed") {
    await Promise.all(
      connections.map(async (connection) => {
        while (performance.now() < endMs) {
          try {
            await one(connection, performance.now());
          } catch {
            // The connection broke; the error is counted, and this connection is out.
            return;
          }
        }
      }),
    );
  } else await runOpen(plan, connections, startMs, endMs, one);

  for (const connection of connections) connection.close();
  const sorted = [...latencies].sort((a, b) => a - b);
  return {
    rps: round(tally.allowed / (plan.durationMs / 1000)),
    p50_ms: percentile(sorted, 0.5),
    p99_ms: percentile(sorted, 0.99),
    ...tally,
    latencies_us: latencies,
  };
}

async function runOpen(
  plan: LoadPlan,
  connections: readonly Connection[],
  startMs: number,
  endMs: number,
  one: (connection: Connection, dueMs: number) => Promise<void>,
): Promise<void> {
  const free = [...connections];
  /** Due times of calls that found no free connection; they are timed from then all the same. */
  const late: number[] = [];
  const intervalMs = 1000 / plan.rate;
  let next = 0;
  let live = connections.length;
  await new Promise<void>((resolve) => {
    const begin = (connection: Connection, dueMs: number): void => {
      one(connection, dueMs).then(
        () => {
          const waited = late.shift();
          if (waited !== undefined) begin(connection, waited);
          else {
            free.push(connection);
            if (finished()) resolve();
          }
        },
        () => {
          live -= 1;
          if (live === 0 || finished()) resolve();
        },
      );
    };
    const finished = (): boolean => performance.now() >= endMs && free.length === live && late.length === 0;
    const tick = (): void => {
      const nowMs = performance.now();
      while (startMs + next * intervalMs <= nowMs && startMs + next * intervalMs < endMs) {
        const dueMs = startMs + next * intervalMs;
        next += 1;
        const connection = free.pop();
        if (connection === undefined) late.push(dueMs);
        else begin(connection, dueMs);
      }
      if (finished() || nowMs > endMs + 10_000) resolve();
      else if (nowMs < endMs) {
        // Timers are too coarse for a millisecond; spinning would take a core from what is measured.
        const waitMs = startMs + next * intervalMs - performance.now();
        if (waitMs > 1.2) setTimeout(tick, 1);
        else setImmediate(tick);
      } else setTimeout(tick, 5);
    };
    tick();
  });
}

function makeRequest(plan: LoadPlan): (number: number) => Buffer {
  const marker = "{{n}}";
  const length = Buffer.byteLength(plan.body) + (plan.body.includes(marker) ? NUMBER_WIDTH - marker.length : 0);
  const headers = Object.entries({
    host: `${plan.host}:${plan.port}`,
    ...plan.headers,
    ...(plan.body === "" ? {} : { "content-length": String(length) }),
  });
  const head = `${plan.method ?? "POST"} ${plan.path} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  const [before = "", after] = plan.body.split(marker);
  if (plan.tokensFile !== undefined) {
    const tokens = readFileSync(plan.tokensFile, "utf8").trim().split("\n");
    const heads = tokens.map((token) =>
      head.replace(/\r\nauthorization: [^\r]*/i, `\r\nauthorization: Bearer ${token}`),
    );
    return (number) =>
      Buffer.from(`${heads[number % heads.length]}${before}${100_000_000 + (number % 100_000_000)}${after ?? ""}`);
  }
  return (number) =>
    Buffer.from(
      after === undefined ? head + plan.body : head + before + String(100_000_000 + (number % 100_000_000)) + after,
    );
}

function classify(answer: Answer, expects: string): "allowed" | "denied" | "error" {
  if (answer.status === 200 && answer.body.includes(expects)) return "allowed";
  if (answer.status === 200 && answer.body.includes('"decision":false')) return "denied";
  // A denial is an answer of the gate; an unavailable journal or upstream is an error of the system under test.
  if (answer.status === 402 || answer.status === 403 || answer.status === 401 || answer.status === 429) return "denied";
  if (answer.status === 200 && answer.body.includes('"error"') && !answer.body.includes("-32019")) return "denied";
  return "error";
}

function percentile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return 0;
  const at = Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1);
  return round((sorted[Math.max(0, at)] ?? 0) / 1000);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

if (import.meta.main) {
  // The plan comes from bench/main.ts, which wrote it from its own type.
  const plan = JSON.parse(process.argv[2] ?? "{}") as LoadPlan;
  process.stdout.write(JSON.stringify(await runLoad(plan)));
}

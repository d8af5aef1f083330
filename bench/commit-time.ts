/** How long one durable commit takes on this server when nothing else runs: what latency figures are compared with. */
import { openPostgres } from "@writ/db";

/** Median milliseconds of `count` one-row commits, one after the other. */
export async function measureCommit(databaseUrl: string, count: number): Promise<number> {
  const db = openPostgres({ url: databaseUrl, role: "migrate", poolMax: 1, applicationName: "writ-bench" });
  try {
    await db.query("CREATE TABLE IF NOT EXISTS public.bench_commit (at timestamptz)");
    const times: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const startMs = performance.now();
      await db.query("INSERT INTO public.bench_commit VALUES (now())");
      times.push(performance.now() - startMs);
    }
    times.sort((a, b) => a - b);
    return Math.round((times[Math.floor(times.length / 2)] ?? 0) * 1000) / 1000;
  } finally {
    await db.close();
  }
}

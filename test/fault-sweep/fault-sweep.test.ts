/**
 * Whatever port call fails, however: nothing is forwarded or answered without evidence, nothing stays reserved, the next
 * call works. WRIT_UPDATE_DOCS=1 writes the matrix anew.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeFaultMatrix } from "./fault-matrix.ts";
import { openWorld, type World } from "./rig.ts";
import { OPERATIONS, type SweepRun, sweep } from "./sweep.ts";

const MATRIX = new URL("../../docs/fault-matrix.md", import.meta.url);

describe.each(["pglite", "postgres"] as const)("on %s", (engine) => {
  let world: World;
  const runs: SweepRun[] = [];

  beforeAll(async () => {
    world = await openWorld(engine);
  });
  afterAll(() => world?.close());

  it.each(OPERATIONS)(
    "R-EVIDENCE-1 I1 I2 I7 trap-12 no failing port lets %s pass without evidence",
    async (operation) => {
      const found = await sweep(world, operation);
      runs.push(...found);
      expect(found.length).toBeGreaterThan(10);
      expect(found.filter((run) => run.problems.length > 0)).toEqual([]);
    },
  );

  it("the documented fault matrix is what the sweep found", () => {
    const text = writeFaultMatrix(runs);
    if (process.env["WRIT_UPDATE_DOCS"] === "1" && engine === "pglite") writeFileSync(MATRIX, text);
    expect(readFileSync(MATRIX, "utf8")).toBe(text);
    expect(text).not.toMatch(/\| allow/);
  });
});

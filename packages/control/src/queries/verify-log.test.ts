/** A log is read while others write to it and the signer signs: what comes meanwhile is no damage. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import { verifyExport } from "@writ/audit/verify";
import { createLogger } from "@writ/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ControlContext } from "../control-context.ts";
import { createCheckpointSigner } from "../signer/checkpoint-signer.ts";
import { createHistoryStore } from "../store/history-store.ts";
import { startTestPlane, type TestPlane } from "../test-plane.fixture.ts";
import { exportLog } from "./export-log.ts";
import { createVerifiedPositions } from "./verified-positions.ts";
import { verifyLog } from "./verify-log.ts";

let plane: TestPlane;
let context: Pick<ControlContext, "store" | "keyring" | "checkpoints" | "verifiedPositions">;
beforeAll(async () => {
  plane = await startTestPlane();
  const { db, clock, keyring } = plane;
  const store = createHistoryStore({ db, clock, random: { bytes: (length) => new Uint8Array(randomBytes(length)) } });
  const signer = await createCheckpointSigner({
    store,
    clock,
    log: createLogger({ level: "silent", write: () => undefined }),
    privateKey: generateKeyPairSync("ed25519").privateKey,
    file: join(plane.directory, "others", "checkpoints.txt"),
    intervalSeconds: 3_600,
  });
  let count = 0;
  /** Before the notes are given out the log grows, and all of it is signed. */
  const notes = async (tenantId: string, epoch: number): Promise<readonly string[]> => {
    count += 1;
    const body = { name: `p${count}`, type: "team" };
    expect((await plane.send("POST", "/v1/tenants/default/principals", { body })).status).toBe(201);
    await signer.signDue(true);
    return signer.notes(tenantId, epoch);
  };
  context = { store, keyring, checkpoints: { ...signer, notes }, verifiedPositions: createVerifiedPositions() };
});
afterAll(() => plane.stop());

test("a checkpoint that is signed while a log is verified is no damage of it", async () => {
  const answer = await verifyLog(context, plane.tenantId, { full: true, epoch: undefined });
  expect(answer).toMatchObject({ status: "intact", findings: [], checkpointsChecked: 1 });
});

test("a checkpoint that is signed while a log is exported is no damage of the export", async () => {
  const lines: string[] = [];
  for await (const text of await exportLog(context, plane.tenantId, undefined))
    lines.push(...text.trimEnd().split("\n"));
  async function* each(): AsyncGenerator<string> {
    yield* lines;
  }
  const { verdict } = await verifyExport(each(), { verifierKeys: [context.checkpoints.verifierKey] });
  expect(verdict).toMatchObject({ kind: "intact" });
});

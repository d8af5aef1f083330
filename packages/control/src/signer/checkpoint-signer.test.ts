/** The file of checkpoints as it becomes with time: large, damaged in places, moved away by its operator. */
import { appendFile, rename, truncate } from "node:fs/promises";
import { join } from "node:path";
import { verifyExport } from "@writ/audit/verify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPlane, type TestPlane } from "../test-plane.fixture.ts";

const T = "/v1/tenants/default";
/** More than was once read. */
const HOLE_BYTES = 257 * 1024 * 1024;
let plane: TestPlane;
let file: string;
let count = 0;
beforeAll(async () => {
  plane = await startTestPlane();
  file = join(plane.directory, "checkpoints", "checkpoints.txt");
  await grow();
});
afterAll(() => plane.stop());

async function add(): Promise<void> {
  count += 1;
  const body = { name: `p${count}`, type: "team" };
  expect((await plane.send("POST", `${T}/principals`, { body })).status).toBe(201);
}

/** One more entry, and a checkpoint of it. */
async function grow(): Promise<void> {
  await add();
  await plane.control.signer.signDue(true);
}

const listed = async (): Promise<number[]> =>
  (await plane.send("GET", `${T}/audit/checkpoints`)).json.items.map(({ size }: { readonly size: number }) => size);

async function verifyBoth(): Promise<number> {
  const { json } = await plane.send("GET", `${T}/audit/verify?full=true`);
  expect(json).toMatchObject({ status: "intact", findings: [] });
  const exported = await plane.send("GET", `${T}/audit/export`);
  async function* lines(): AsyncGenerator<string> {
    yield* exported.text.trimEnd().split("\n");
  }
  const { verdict } = await verifyExport(lines(), { verifierKeys: [plane.control.signer.verifierKey] });
  expect(verdict).toMatchObject({ kind: "intact", coverage: { checkpointsAgreed: json.checkpointsChecked } });
  return json.checkpointsChecked;
}

test("a log is verified and exported however large the file of checkpoints has become", async () => {
  const [first] = await listed();
  // A hole takes no place on the disk, and is read as what it is: no checkpoint.
  await truncate(file, HOLE_BYTES);
  await appendFile(file, "\n\n");
  await grow();
  expect(await listed()).toEqual([first, Number(first) + 1]);
  expect(await verifyBoth()).toBe(2);
  expect(plane.lines.filter((line) => line.includes("the checkpoint file holds what is no checkpoint"))).toHaveLength(
    1,
  );
});

test("R-LOG-3 the signer goes on in a new file when the old one was moved away, and forgets nothing", async () => {
  await rename(file, `${file}.1`);
  expect(await listed()).toEqual([]);
  expect(await verifyBoth()).toBe(0);
  await grow();
  expect(await verifyBoth()).toBe(1);
  await rename(file, `${file}.2`);
  await add();
  await plane.owner.transaction({ tenants: [plane.tenantId] }, (transaction) =>
    transaction.query(
      "UPDATE audit_event SET leaf = sha256(leaf) WHERE tenant_id = $1 AND sequence = (SELECT max(sequence) FROM audit_event WHERE tenant_id = $1)",
      [plane.tenantId],
    ),
  );
  await plane.control.signer.signDue(true);
  expect(plane.control.signer.refusal(plane.tenantId, 1)).toBe("inconsistent");
  expect(await listed()).toEqual([]);
});

/** The file of checkpoints as it becomes with time: large, damaged in places, moved away by its operator. */
import { appendFile, readFile, rename, truncate } from "node:fs/promises";
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

const damageSaid = (): number =>
  plane.lines.filter((line) => line.includes("the checkpoint file holds what is no checkpoint")).length;

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

test("a checkpoint that was cut short anywhere, as by a loss of power, spoils none of those behind it", async () => {
  const before = (await listed()).length;
  const origin = `${plane.control.signer.verifierKey.split("+")[0]}/${plane.tenantId}/1`;
  const note = (await readFile(file, "utf8")).slice(-400).split("\n\n").slice(-3, -1).join("\n\n");
  expect(note.startsWith(origin)).toBe(true);
  const afterSize = note.indexOf("\n", origin.length + 1);
  const cuts = [5, origin.length, afterSize, afterSize + 9, note.indexOf("\n\n") + 2, note.length - 30, note.length];
  for (const length of cuts) {
    await appendFile(file, note.slice(0, length));
    await grow();
  }
  expect(await verifyBoth()).toBe(before + cuts.length);
});

test("a log is verified and exported however large the file of checkpoints has become", async () => {
  const known = await listed();
  const said = damageSaid();
  // A hole takes no place on the disk, and is read as what it is: no checkpoint.
  await truncate(file, HOLE_BYTES);
  await appendFile(file, "\n\n");
  await grow();
  expect(await listed()).toEqual([...known, Number(known.at(-1)) + 1]);
  expect(await verifyBoth()).toBe(known.length + 1);
  expect(damageSaid()).toBe(said + 1);
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

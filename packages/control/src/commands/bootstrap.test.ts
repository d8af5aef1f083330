import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { INSTANCE_TENANT } from "@writ/contract";
import type { Database } from "@writ/db";
import { createLogger, openKeyring } from "@writ/runtime";
import { freshPglite } from "@writ/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Control, createControl } from "../create-control.ts";
import { validatePolicy } from "../queries/validate-policy.ts";
import { DEFAULT_TENANT } from "./bootstrap.ts";
import { STARTER_RULES } from "./starter-rules.ts";

let db: Database;
let control: Control;
let stop: () => Promise<void>;

beforeAll(async () => {
  const pglite = await freshPglite();
  const directory = await mkdtemp(join(tmpdir(), "writ-bootstrap-"));
  db = pglite.handle.as("control");
  control = await createControl({
    db,
    keyring: openKeyring(randomBytes(32)),
    clock: { nowMs: () => Date.now() },
    random: { bytes: (length) => new Uint8Array(randomBytes(length)) },
    log: createLogger({ level: "silent" }),
    config: {
      mode: "development",
      control: { host: "127.0.0.1", port: 0, publicUrl: "http://127.0.0.1", allowedHosts: ["127.0.0.1"] },
      gateway: { audience: "https://gateway.test" },
      checkpoints: { file: join(directory, "checkpoints.txt"), intervalSeconds: 3_600 },
      keys: { masterKeyFile: undefined, masterKey: undefined, checkpointKeyFile: join(directory, "checkpoint.key") },
    },
  });
  stop = async () => {
    await control.close();
    await pglite.remove();
    await rm(directory, { recursive: true });
  };
});
afterAll(() => stop());

const starter = { upstream: { type: "stdio", command: "/bin/true", args: [], env: {} } } as const;

async function counts(): Promise<{ readonly keys: number; readonly objects: number; readonly events: number }> {
  const rows = await db.transaction({ tenants: [INSTANCE_TENANT, DEFAULT_TENANT], readOnly: true }, (transaction) =>
    transaction.query<{ keys: number; objects: number; events: number }>(
      `SELECT (SELECT count(*) FROM admin_key)::int4 AS keys, (SELECT count(*) FROM authority)::int4 AS objects,
        (SELECT count(*) FROM audit_event WHERE tenant_id = $1)::int4 AS events`,
      [DEFAULT_TENANT],
    ),
  );
  return rows[0] ?? { keys: -1, objects: -1, events: -1 };
}

describe("a first start on the embedded database", () => {
  test("that is cut before a secret is saved leaves nothing half-made, and the next one makes everything", async () => {
    const saved = new Map<string, string>();
    const cut = (at: string) => async (name: string, text: string) => {
      if (name === at) throw new Error("cut");
      saved.set(name, text);
    };
    await expect(control.bootstrap({ starter, saveSecret: cut("admin-key") })).rejects.toThrow("cut");
    expect(await counts()).toEqual({ keys: 0, objects: 0, events: 0 });
    await expect(control.bootstrap({ starter, saveSecret: cut("starter-token") })).rejects.toThrow("cut");
    expect(await counts()).toEqual({ keys: 1, objects: 0, events: 0 });

    const made = await control.bootstrap({ starter, saveSecret: cut("nothing") });
    expect(made.adminKey).toBeUndefined();
    expect(made.starter?.token).toBe(saved.get("starter-token"));
    const whole = await counts();
    expect(whole.objects).toBe(7);

    const again = await control.bootstrap({ starter, saveSecret: cut("starter-token") });
    expect(again.starter).toMatchObject({ tenantId: DEFAULT_TENANT, token: undefined });
    expect(await counts()).toEqual(whole);
  });

  test("ends with an admin key that works and a log that verifies", async () => {
    const { port } = await control.listen();
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/v1/tenants`)).status).toBe(401);
    await control.signer.signDue(true);
    expect(control.signer.refusal(DEFAULT_TENANT, 1)).toBeUndefined();
  });

  test("starts with rules whose own tests pass", () => {
    const checked = validatePolicy(STARTER_RULES);
    expect(checked.problems).toEqual([]);
    expect(checked.tests.filter((one) => !one.passed)).toEqual([]);
    expect(checked.tests.length).toBe(5);
  });
});

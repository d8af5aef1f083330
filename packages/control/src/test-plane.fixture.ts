/** A control plane for tests: a real listener on loopback over a migrated database of its own. Imported by tests only. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openPostgres } from "@writ/db";
import { createLogger, type Keyring, openKeyring } from "@writ/runtime";
import { freshDatabase, sharedPostgres } from "@writ/testkit";
import { type Control, createControl } from "./create-control.ts";

export interface TestPlane {
  readonly control: Control;
  readonly db: Database;
  /** Opened with the owner's role, to write what only an intruder would. */
  readonly owner: Database;
  readonly keyring: Keyring;
  readonly url: string;
  readonly directory: string;
  /** Of the instance, with every permission. */
  readonly adminKey: string;
  readonly tenantId: string;
  readonly token: string;
  readonly lines: readonly string[];
  readonly clock: { nowMs(): number; advance(ms: number): void };
  send(method: string, path: string, options?: SendOptions): Promise<Answer>;
  stop(): Promise<void>;
}

export interface SendOptions {
  readonly key?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape and compare them
  readonly json: any;
}

export async function startTestPlane(): Promise<TestPlane> {
  const url = await freshDatabase(await sharedPostgres());
  const db = openPostgres({ url, role: "control", poolMax: 4, applicationName: "test" });
  const owner = openPostgres({ url, role: "migrate", poolMax: 1, applicationName: "test" });
  const directory = await mkdtemp(join(tmpdir(), "writ-control-"));
  const lines: string[] = [];
  let offset = 0;
  const clock = {
    nowMs: () => Date.now() + offset,
    advance: (ms: number) => {
      offset += ms;
    },
  };
  const keyring = openKeyring(randomBytes(32));
  const control = await createControl({
    db,
    keyring,
    clock,
    random: { bytes: (length) => new Uint8Array(randomBytes(length)) },
    log: createLogger({ level: "info", write: (line) => lines.push(line) }),
    config: {
      mode: "development",
      control: { host: "127.0.0.1", port: 0, publicUrl: "http://127.0.0.1", allowedHosts: ["127.0.0.1"] },
      gateway: { audience: "https://gateway.test" },
      checkpoints: { file: join(directory, "checkpoints", "checkpoints.txt"), intervalSeconds: 3_600 },
      keys: { masterKeyFile: undefined, masterKey: undefined, checkpointKeyFile: join(directory, "checkpoint.key") },
    },
  });
  const made = await control.bootstrap({
    starter: { upstream: { type: "stdio", command: "/bin/true", args: [], env: {} } },
  });
  const { port } = await control.listen();
  const base = `http://127.0.0.1:${port}`;
  const adminKey = made.adminKey ?? "";
  return {
    control,
    db,
    owner,
    keyring,
    url: base,
    directory,
    adminKey,
    tenantId: made.starter?.tenantId ?? "",
    token: made.starter?.token ?? "",
    lines,
    clock,
    async send(method, path, options = {}) {
      const key = "key" in options ? options.key : adminKey;
      const response = await fetch(base + path, {
        method,
        headers: {
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(options.body === undefined ? {} : { "content-type": "application/json" }),
          ...options.headers,
        },
        ...(options.body === undefined
          ? {}
          : { body: typeof options.body === "string" ? options.body : JSON.stringify(options.body) }),
      });
      const text = await response.text();
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        json = undefined; // an empty answer, or NDJSON
      }
      return { status: response.status, headers: response.headers, text, json };
    },
    async stop() {
      await control.close();
      await db.close();
      await owner.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

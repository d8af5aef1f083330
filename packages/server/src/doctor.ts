/** `writ doctor`: looks at what a start would need and says what is wrong and what to do, changing nothing. */
import { access, constants } from "node:fs/promises";
import { dirname } from "node:path";
import { checkDurability, migrationStatus } from "@writ/db";
import type { Config } from "@writ/runtime";
import { MIGRATIONS_DIRECTORY } from "./migrations-directory.ts";
import { openDatabases } from "./open-databases.ts";

export interface Finding {
  readonly check: "node" | "data_directory" | "database" | "migrations" | "durability" | "checkpoints";
  readonly state: "good" | "warning" | "bad";
  readonly detail: string;
}

export async function doctor(config: Config): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const say = (check: Finding["check"], state: Finding["state"], detail: string): void => {
    findings.push({ check, state, detail });
  };
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const recent = major > 22 || (major === 22 && minor >= 19);
  say("node", recent ? "good" : "bad", `Node ${process.versions.node}${recent ? "" : "; 22.19 or later is needed"}`);
  await writable(config.dataDir).then(
    () => say("data_directory", "good", `${config.dataDir} can be written`),
    () => say("data_directory", "bad", `${config.dataDir} cannot be written; set dataDir to a directory that can`),
  );
  await writable(dirname(config.checkpoints.file)).then(
    () => say("checkpoints", "good", `${config.checkpoints.file} can be written`),
    () => say("checkpoints", "bad", `${config.checkpoints.file} cannot be written; set checkpoints.file`),
  );
  try {
    const databases = await openDatabases({ url: config.database.url, dataDir: config.dataDir });
    const owner = databases.owner();
    try {
      await owner.query("SELECT 1");
      say("database", "good", databases.engine === "pglite" ? "the embedded database opens" : "the server answers");
      const status = await migrationStatus(owner, MIGRATIONS_DIRECTORY);
      const { pending } = status;
      say(
        "migrations",
        pending.length === 0 ? "good" : "warning",
        pending.length === 0 ? "all are applied" : `${pending.length} are not applied; run: writ migrate`,
      );
      for (const { name, message } of await checkDurability(owner)) {
        say("durability", config.mode === "production" ? "bad" : "warning", `${name}: ${message}`);
      }
    } finally {
      await owner.close();
      await databases.close();
    }
  } catch (error) {
    // A failure of the database becomes a finding; that is what this command is for.
    say("database", "bad", error instanceof Error ? error.message : String(error));
  }
  return findings;
}

/** Of a path that need not exist: the nearest directory above it that does. */
async function writable(path: string): Promise<void> {
  for (let at = path; ; at = dirname(at)) {
    try {
      await access(at, constants.F_OK);
    } catch {
      if (dirname(at) === at) throw new Error(`${path} has no directory above it`);
      continue;
    }
    return access(at, constants.W_OK);
  }
}

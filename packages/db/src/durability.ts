/**
 * `checkDurability`: whether COMMIT means what evidence needs it to mean. Production refuses to start on any finding;
 * that decision is the caller's.
 */
import type { Database } from "./database.ts";

export type DurabilityFindingName =
  | "embedded_no_fsync"
  | "fsync_off"
  | "full_page_writes_off"
  | "synchronous_commit_off"
  | "standby_not_synchronous"
  | "in_recovery";

export interface DurabilityFinding {
  readonly name: DurabilityFindingName;
  /** A sentence for the operator. */
  readonly message: string;
}

/** Returns what makes commits less than durable; empty when nothing does. Throws `DatabaseError`. */
export async function checkDurability(database: Database): Promise<readonly DurabilityFinding[]> {
  if (database.engine === "pglite") {
    return [
      {
        name: "embedded_no_fsync",
        message:
          "the embedded database never calls fsync: it survives the death of its process, not the loss of power; set " +
          "database.url to a Postgres server",
      },
    ];
  }
  const [row] = await database.query(`
    SELECT current_setting('fsync') AS fsync,
           current_setting('full_page_writes') AS full_page_writes,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('synchronous_standby_names') AS standby_names,
           (SELECT count(*) FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup') AS standbys,
           pg_is_in_recovery() AS in_recovery`);
  const findings: DurabilityFinding[] = [];
  if (row?.["fsync"] !== "on") {
    findings.push({ name: "fsync_off", message: "commits are lost when the machine stops; set fsync = on" });
  }
  if (row?.["full_page_writes"] !== "on") {
    findings.push({
      name: "full_page_writes_off",
      message: "pages may be torn when the machine stops; set full_page_writes = on",
    });
  }
  const commit = row?.["synchronous_commit"];
  if (commit !== "on" && commit !== "remote_apply" && commit !== "remote_write" && commit !== "local") {
    findings.push({
      name: "synchronous_commit_off",
      message:
        "commits are answered before they are on disk; set synchronous_commit = on, for this login and this database too",
    });
  }
  const replicated = Number(row?.["standbys"]) > 0 || row?.["standby_names"] !== "";
  const waits = row?.["standby_names"] !== "" && (commit === "on" || commit === "remote_apply");
  if (replicated && !waits) {
    findings.push({
      name: "standby_not_synchronous",
      message:
        "there is a standby that commits do not wait for, and a failover to it would forget revocations; name it in " +
        "synchronous_standby_names and set synchronous_commit = on",
    });
  }
  if (row?.["in_recovery"] !== false) {
    findings.push({ name: "in_recovery", message: "this server is a standby; set database.url to the primary" });
  }
  return findings;
}

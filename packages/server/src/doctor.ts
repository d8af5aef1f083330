/** `writ doctor`: looks at what a start would need and says what is wrong and what to do, changing nothing. */
import { access, constants, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkDurability, migrationStatus } from "@writ/db";
import { type Config, makeAddressRules } from "@writ/runtime";
import { MIGRATIONS_DIRECTORY } from "./migrations-directory.ts";
import { openDatabases } from "./open-databases.ts";

export interface Finding {
  readonly check:
    | "node"
    | "data_directory"
    | "database"
    | "migrations"
    | "durability"
    | "checkpoints"
    | "upstream_addresses"
    | "upstream_credentials"
    | "stdio_runner"
    | "observe_mode";
  readonly state: "good" | "warning" | "bad";
  readonly detail: string;
}

export async function doctor(config: Config): Promise<readonly Finding[]> {
  const { checkRunner, readObserved } = await import("@writ/gateway");
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
  say("upstream_addresses", ...describeAddresses(config));
  const { credentialsDir } = config.upstreams;
  if (credentialsDir !== undefined) {
    const isDefault = !config.sources.has("upstreams.credentialsDir");
    say("upstream_credentials", ...(await describeCredentials(credentialsDir, isDefault)));
  }
  const { stdioRunner: runner } = config.upstreams;
  if (runner.length > 0) {
    const check = { runner, environmentFile: `/proc/${process.pid}/environ`, path: process.env["PATH"] ?? "" };
    await checkRunner(check).then(
      () => say("stdio_runner", "good", `${runner.join(" ")} starts children that cannot read this process`),
      (error: unknown) => say("stdio_runner", "bad", error instanceof Error ? error.message : String(error)),
    );
  }
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
      if (pending.length === 0) {
        for (const { tenant, upstream, untilMs } of await readObserved(databases.gateway, Date.now())) {
          const until = new Date(untilMs).toISOString();
          say(
            "observe_mode",
            "warning",
            `what the policy of ${tenant} would deny on ${upstream} is allowed until ${until}`,
          );
        }
      }
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

/** Says names and numbers of files, and reads none. */
async function describeCredentials(directory: string, isDefault: boolean): Promise<[Finding["state"], string]> {
  try {
    const names = (await readdir(directory)).filter((name) => !name.startsWith("."));
    const open: string[] = [];
    for (const name of names) if (((await stat(join(directory, name))).mode & 0o007) !== 0) open.push(name);
    return open.length === 0
      ? ["good", `${directory} has ${names.length} files`]
      : ["bad", `accessible to everybody, so no gateway reads them: ${open.join(", ")}; run: chmod 600`];
  } catch (error) {
    // A failure of the file system becomes a finding.
    if (isDefault && error instanceof Error && "code" in error && error.code === "ENOENT") {
      return ["good", `${directory} is made when a gateway starts`];
    }
    return ["bad", `${directory} cannot be read (${error instanceof Error ? error.message : String(error)})`];
  }
}

/** Where clouds answer whoever is on the machine with its credentials. */
const METADATA_ADDRESSES = ["169.254.169.254", "fd00:ec2::254", "168.63.129.16"];

function describeAddresses({ upstreams, sources }: Config): [Finding["state"], string] {
  const { allowedAddresses } = upstreams;
  const listed = allowedAddresses.join(", ");
  const rules = makeAddressRules(allowedAddresses);
  const reached = METADATA_ADDRESSES.filter((address) => rules.judge("", address).kind !== "refused");
  if (reached.length > 0) {
    return [
      "warning",
      `upstreams may have the address ${reached.join(", ")}, where a cloud gives away this machine's credentials; narrow upstreams.allowedAddresses (${listed})`,
    ];
  }
  if (allowedAddresses.length === 0) {
    return ["good", "upstreams have public addresses only; list others in upstreams.allowedAddresses"];
  }
  return sources.has("upstreams.allowedAddresses")
    ? ["good", `besides public addresses upstreams may have ${listed}`]
    : [
        "good",
        `besides public addresses upstreams may have ${listed}, which development lists and production does not`,
      ];
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

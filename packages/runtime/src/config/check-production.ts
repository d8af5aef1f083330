/** What `mode: production` refuses to start with. Strength of the master key is the keyring's; the database's own settings are doctor's. */
import type { Config, ConfigProblem } from "./config.ts";
import type { Setting } from "./settings.ts";

/** Every reason not to start, each naming the setting to give. */
export function checkProduction(config: Config, settings: readonly Setting[]): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const { path, environment, schema } of settings) {
    if (schema.productionRequires === true && !config.sources.has(path)) {
      problems.push({ place: path, message: `must be given in production (here or as ${environment})` });
    }
  }
  const { masterKeyFile, masterKey } = config.keys;
  if (masterKeyFile === undefined && masterKey === undefined) {
    problems.push({
      place: "keys.masterKeyFile",
      message: "must be given in production (here, or the key itself as WRIT_KEYS_MASTER_KEY)",
    });
  }
  for (const plane of ["gateway", "control"] as const) {
    const url = config[plane].publicUrl;
    if (config.sources.has(`${plane}.publicUrl`) && url.startsWith("http:") && !isLoopback(new URL(url).hostname)) {
      problems.push({ place: `${plane}.publicUrl`, message: "must be https in production: tokens travel over it" });
    }
  }
  problems.push(...checkEnvironment(config));
  if (config.database.url !== undefined && !isEncryptedOrLocal(config.database.url)) {
    problems.push({
      place: "database.url",
      message: "must ask for encryption (sslmode=require, verify-ca or verify-full) when the server is remote",
    });
  }
  return problems;
}

/** An environment cannot be taken back: whatever runs as this user, or gets out of its runner, could read it. */
function checkEnvironment(config: Config): readonly ConfigProblem[] {
  if (config.upstreams.stdioRunner.length === 0) return [];
  const problems: ConfigProblem[] = [];
  if (config.keys.masterKey !== undefined) {
    problems.push({
      place: "WRIT_KEYS_MASTER_KEY",
      message: "must not be in the environment where stdio upstreams run; use keys.masterKeyFile",
    });
  }
  const { url } = config.database;
  const hasPassword = url !== undefined && URL.canParse(url) && new URL(url).password !== "";
  if (hasPassword && config.sources.get("database.url") === "environment") {
    problems.push({
      place: "WRIT_DATABASE_URL",
      message: "must not hold a password in the environment where stdio upstreams run; give database.url in the file",
    });
  }
  return problems;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function isEncryptedOrLocal(databaseUrl: string): boolean {
  if (!URL.canParse(databaseUrl)) return false;
  const url = new URL(databaseUrl);
  // No host: a Unix socket.
  if (url.hostname === "" || isLoopback(url.hostname)) return true;
  return ["require", "verify-ca", "verify-full"].includes(url.searchParams.get("sslmode") ?? "");
}

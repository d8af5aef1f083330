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
  if (config.database.url !== undefined && !isEncryptedOrLocal(config.database.url)) {
    problems.push({
      place: "database.url",
      message: "must ask for encryption (sslmode=require, verify-ca or verify-full) when the server is remote",
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

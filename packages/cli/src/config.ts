/** Finds and loads the configuration of a server command: --config, WRIT_CONFIG, or writ.yaml where it exists. */
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import type { Config } from "@writ/server";
import type { CliContext } from "./cli-context.ts";
import { readTextFile } from "./files.ts";

const DEFAULT_FILE = "writ.yaml";

/** What the commands read themselves: not settings of a server, and no mistake in its environment. */
const OF_THE_COMMANDS = new Set([
  "WRIT_CONFIG",
  "WRIT_ADMIN_URL",
  "WRIT_ADMIN_KEY",
  "WRIT_GATEWAY_URL",
  "WRIT_TENANT",
  "WRIT_TOKEN",
]);

/** Throws `ConfigError` with every problem. */
export async function loadServerConfig(context: CliContext, options: { readonly config?: string }): Promise<Config> {
  const { loadConfig } = await import("@writ/server");
  const named = options.config ?? context.environment["WRIT_CONFIG"];
  const path = named ?? ((await exists(resolve(context.directory, DEFAULT_FILE))) ? DEFAULT_FILE : undefined);
  const file =
    path === undefined
      ? undefined
      : { path: resolve(context.directory, path), text: await readTextFile(context, path, "configuration file") };
  const environment = Object.fromEntries(
    Object.entries(context.environment).filter(([name]) => !OF_THE_COMMANDS.has(name)),
  );
  return loadConfig({ file, environment, directory: context.directory });
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

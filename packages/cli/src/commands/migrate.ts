/** `writ migrate`: applies what is missing and ends. */

import { loadServerConfig } from "../config.ts";
import { defineCommand, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";

export const define: DefineCommands = (program, context) => {
  defineCommand<{ readonly config?: string; readonly json?: boolean }>(program, context, {
    usage: "migrate",
    summary: "Apply the migrations that the database lacks.",
    options: [
      option("--config <file>", "configuration file (WRIT_CONFIG; writ.yaml where it exists)"),
      option("--json", "print JSON"),
    ],
    async run(_args, options) {
      const config = await loadServerConfig(context, options);
      const { migrateDatabase } = await import("@writ/server");
      const applied = await migrateDatabase(config);
      if (options.json === true) await context.out(`${JSON.stringify({ applied })}\n`);
      else if (applied.length === 0) await context.out("The database has every migration.\n");
      else await context.out(applied.map((name) => `applied ${name}\n`).join(""));
    },
  });
};

/** `writ doctor`: says what is wrong and what to do, changing nothing. */

import { loadServerConfig } from "../config.ts";
import { defineCommand, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { EXIT } from "../exit-codes.ts";
import { formatTable } from "../format-table.ts";

export const define: DefineCommands = (program, context) => {
  defineCommand<{ readonly config?: string; readonly json?: boolean }>(program, context, {
    usage: "doctor",
    summary: "Check what a start would need: Node, directories, database, migrations, durability.",
    options: [
      option("--config <file>", "configuration file (WRIT_CONFIG; writ.yaml where it exists)"),
      option("--json", "print JSON"),
    ],
    async run(_args, options) {
      const config = await loadServerConfig(context, options);
      const { doctor } = await import("@writ/server");
      const findings = await doctor(config);
      const bad = findings.some(({ state }) => state === "bad");
      await context.out(
        options.json === true
          ? `${JSON.stringify({ good: !bad, findings })}\n`
          : formatTable(findings, [
              { title: "STATE", value: ({ state }) => state },
              { title: "CHECK", value: ({ check }) => check },
              { title: "DETAIL", value: ({ detail }) => detail },
            ]),
      );
      return bad ? EXIT.no : EXIT.ok;
    },
  });
};

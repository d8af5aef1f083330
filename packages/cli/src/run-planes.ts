/** What serve, gateway and control share: load the configuration, start the planes, say that they are ready, wait. */
import { flushCompileCache } from "node:module";
import type { Command } from "commander";
import type { CliContext } from "./cli-context.ts";
import { loadServerConfig } from "./config.ts";
import { defineCommand, option } from "./define-command.ts";

export interface PlanesCommand {
  readonly name: string;
  readonly summary: string;
  readonly planes: readonly ("gateway" | "control")[];
  /** Sets up a first tenant, so that a call can be made at once. */
  readonly starter: boolean;
}

export function definePlanesCommand(program: Command, context: CliContext, definition: PlanesCommand): void {
  defineCommand<{ readonly config?: string; readonly json?: boolean }>(program, context, {
    usage: definition.name,
    summary: definition.summary,
    options: [
      option("--config <file>", "configuration file (WRIT_CONFIG; writ.yaml where it exists)"),
      option("--json", "print one line of JSON when ready"),
    ],
    async run(_args, options) {
      const config = await loadServerConfig(context, options);
      const { formatReport, runUntilSignal, startPlanes } = await import("@writ/server");
      await runUntilSignal((signal) =>
        startPlanes({
          config,
          signal,
          planes: definition.planes,
          starter: definition.starter && config.mode === "development",
          ready: (report) => {
            // Now and not only at a good end: a server that was killed would compile all of it again at its next start.
            flushCompileCache();
            // The token itself is for a terminal only; a program finds it in the file that is named.
            const { token: _token, ...forPrograms } = report;
            void context.out(
              options.json === true
                ? `${JSON.stringify(forPrograms)}\n`
                : formatReport(report, { terminal: context.terminal.output }),
            );
          },
        }),
      );
    },
  });
}

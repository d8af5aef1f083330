/** `writ import`: a running set-up of MCP clients, put behind Writ. */
import { defineAdminCommand, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { CLIENTS } from "../import/client-file.ts";
import { type ImportOptions, runImport } from "../import/run-import.ts";
import { OBSERVE_SECONDS_MAX, readChoice, readDuration, readObserveDuration, readPairs } from "../read-values.ts";

export const define: DefineCommands = (program, context) => {
  defineAdminCommand<ImportOptions>(program, context, {
    usage: "import <files...>",
    summary:
      "Register the servers that files of MCP clients name as upstreams under observation, and say what leads the clients to Writ.",
    arguments: ["claude_desktop_config.json, .mcp.json, ~/.claude.json, .cursor/mcp.json, .vscode/mcp.json"],
    options: [
      option("--client <client>", `whose files these are: ${CLIENTS.join(", ")} (where they lie says it)`).argParser(
        readChoice(CLIENTS),
      ),
      option("--write", "replace the entries in the files, and keep each file as it was beside it"),
      option("--dry-run", "only say what would be done"),
      option("--observe <duration>", "how long what the policy would deny is allowed: 14d at most")
        .argParser(readObserveDuration)
        .default(OBSERVE_SECONDS_MAX, "14d"),
      option("--no-observe", "let the policy deny from the start"),
      option(
        "--agent <agent>",
        "id or name of the agent that the client is; made if there is none (the client's name)",
      ),
      option("--principal <principal>", "id or name of whom a new agent acts for (the only one)"),
      option("--token-file <file>", "where the agent's token is, or goes (.writ/tokens/<agent>)"),
      option("--token-in-file", "with --write: put the token itself into the client's file (mode 0600)"),
      option("--expires-in <duration>", "life of a token that is minted (90d, or what the tenant allows)").argParser(
        readDuration,
      ),
      option(
        "--input-from <id=file>",
        "a file with what VS Code would ask its user for as the input of that id; may be repeated",
      ).argParser(readPairs),
      option("--credentials-dir <directory>", "the gateway's upstreams.credentialsDir, for headers of http servers"),
      option("--gateway-url <url>", "the gateway (WRIT_GATEWAY_URL; http://127.0.0.1:8484)"),
    ],
    run: (session, [files], options) =>
      // Commander gives a variadic argument as a list.
      runImport(session, (files ?? []) as unknown as readonly string[], options),
  });
};

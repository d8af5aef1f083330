/** What a start says when it is ready: to a person as lines, to a program as one line of JSON. */

export interface ReadyReport {
  readonly engine: "postgres" | "pglite";
  /** What agents connect to, with the address that was really bound. */
  readonly gatewayUrl: string | undefined;
  readonly adminUrl: string | undefined;
  readonly tenantId: string | undefined;
  /** The starter token, only when this start made it. */
  readonly token: string | undefined;
  /** Where the starter token is kept (mode 0600). */
  readonly tokenFile: string | undefined;
  readonly adminKeyFile: string | undefined;
  /** What a person should know: a port that was taken, a key file that was made, a dangerous default. */
  readonly notes: readonly string[];
  /** Commands to try, each with what it shows. */
  readonly commands: readonly { readonly shows: string; readonly command: string }[];
}

/** Lines for a person. The token is shown to a terminal only; elsewhere the file that holds it is named. */
export function formatReport(report: ReadyReport, options: { readonly terminal: boolean }): string {
  const lines: string[] = [];
  if (report.gatewayUrl !== undefined) lines.push(`Gateway   ${report.gatewayUrl}`);
  if (report.adminUrl !== undefined) lines.push(`Admin     ${report.adminUrl}`);
  if (report.tokenFile !== undefined) {
    const shown = options.terminal && report.token !== undefined;
    lines.push(shown ? `Token     ${report.token}` : `Token     in ${report.tokenFile}`);
  }
  if (report.adminKeyFile !== undefined) lines.push(`Admin key in ${report.adminKeyFile}`);
  for (const note of report.notes) lines.push(`Note      ${note}`);
  if (report.commands.length > 0) {
    lines.push("", "Try:");
    for (const { shows, command } of report.commands) lines.push(`  # ${shows}`, `  ${command}`);
  }
  return `${lines.join("\n")}\n`;
}

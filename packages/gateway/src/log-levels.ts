/** The levels of log messages in MCP, which are those of syslog. */

/** From the most verbose to the least (RFC 5424). */
export const LOG_LEVELS: readonly string[] = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
];

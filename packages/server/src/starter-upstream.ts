/** The upstream of the first start: the official reference server, from this installation, over stdio. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { UpstreamTransport } from "@writ/contract";

const PACKAGE = "@modelcontextprotocol/server-everything";

/** Undefined when the package is not installed. */
export function findStarterUpstream(): UpstreamTransport | undefined {
  const require = createRequire(import.meta.url);
  const entry = require.resolve.paths(PACKAGE)?.map((directory) => join(directory, PACKAGE, "dist/index.js"));
  const script = entry?.find((path) => existsSync(path));
  if (script === undefined) return undefined;
  // The same Node that runs this process: it need not be on the child's PATH.
  return {
    type: "stdio",
    command: process.execPath,
    args: [script, "stdio"],
    env: { PATH: dirname(process.execPath) },
  };
}

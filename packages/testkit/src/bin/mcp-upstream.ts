/**
 * The fake MCP upstream as a process of its own.
 *
 *   node packages/testkit/src/bin/mcp-upstream.ts --port 0 [--era session|stateless]   prints its URL, then a line a call
 *   node packages/testkit/src/bin/mcp-upstream.ts --stdio [--era session|stateless]
 */
import { parseArgs } from "node:util";
import { serveMcpUpstreamOnLines, startMcpUpstream } from "../mcp-upstream.ts";

const { values } = parseArgs({
  options: { port: { type: "string" }, era: { type: "string", default: "session" }, stdio: { type: "boolean" } },
});
const era = values.era === "stateless" ? "stateless" : "session";

if (values.stdio) {
  await serveMcpUpstreamOnLines({
    era,
    input: process.stdin,
    output: process.stdout,
    exit: (code) => process.exit(code),
  });
} else {
  const upstream = await startMcpUpstream({
    era,
    port: Number(values.port ?? 0),
    onCall: (call) => process.stdout.write(`${JSON.stringify({ call: call.tool, id: call.id, text: call.text })}\n`),
  });
  process.stdout.write(`${JSON.stringify({ url: upstream.url })}\n`);
}

/**
 * An agent that calls tools through Writ with the official MCP SDK; the URL and the token are all it knows of Writ. It
 * lists what it may call, makes a call, is denied one, and hands a weaker token, made offline, to a helper.
 */
import { hash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { attenuateToken, makeTokenHash } from "@writ/sdk";

const url = process.env["WRIT_MCP_URL"] ?? "http://127.0.0.1:8484/mcp/everything";
const token = (await readFile(process.env["WRIT_TOKEN_FILE"] ?? ".writ/starter-token", "utf8")).trim();

async function connect(bearer: string): Promise<Client> {
  const client = new Client({ name: "example-agent", version: "1.0.0" });
  const requestInit = { headers: { Authorization: `Bearer ${bearer}` } };
  // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return client;
}

/** What came of a call, in a line. A denial is an ordinary JSON-RPC error with its reason in `data`. */
async function attempt(client: Client, tool: string, args: Record<string, unknown>): Promise<string> {
  try {
    const { content } = await client.callTool({ name: tool, arguments: args });
    return `allowed: ${JSON.stringify((content as { text?: string }[])[0]?.text)}`; // tools of this server answer so
  } catch (error) {
    // A denial becomes a line; anything else is a failure and ends the program.
    if (!(error instanceof McpError)) throw error;
    const { reason = "it looks like no tool" } = (error.data ?? {}) as { reason?: string };
    return `denied (${reason}): ${error.message}`;
  }
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const agent = await connect(token);
const { tools } = await agent.listTools();
say(`The agent may call: ${tools.map(({ name }) => name).join(", ")}`);
say(`echo hello          ${await attempt(agent, "echo", { message: "hello" })}`);
say(`get-sum 101 + 1     ${await attempt(agent, "get-sum", { a: 101, b: 1 })}`);
say(`get-env             ${await attempt(agent, "get-env", {})}`);

// The helper needs one tool, three times, for five minutes. No server is asked: a holder can only ever take away.
const child = attenuateToken(
  makeTokenHash((bytes) => hash("sha256", bytes, "buffer")),
  token,
  {
    id: randomUUID(),
    caveats: [
      JSON.stringify({ tools: ["everything/get-sum"] }),
      JSON.stringify({ calls: 3 }),
      JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 300 }),
    ],
  },
);
if (child.kind !== "attenuated") throw new Error(`the token cannot be attenuated: ${child.detail}`);

const helper = await connect(child.token);
say(`The helper may call: ${(await helper.listTools()).tools.map(({ name }) => name).join(", ")}`);
for (const a of [1, 2, 3, 4]) say(`get-sum ${a} + 1       ${await attempt(helper, "get-sum", { a, b: 1 })}`);
say(`echo hello          ${await attempt(helper, "echo", { message: "hello" })}`);

await helper.close();
await agent.close();

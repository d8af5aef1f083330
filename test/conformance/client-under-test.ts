/**
 * What the official conformance suite starts as the client that it tests: registers the suite's server as an upstream of a
 * Writ that runs already, does through Writ what the scenario wants of a client, and takes the upstream away again. What
 * the suite then judges is what Writ said to its server. Its last argument is the server's URL.
 */
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { createAdminClient } from "@writ/sdk/admin";

/** Where Writ is, in the environment variable `WRIT_UNDER_TEST`. */
export interface WritUnderTest {
  readonly adminUrl: string;
  readonly adminKey: string;
  readonly gatewayUrl: string;
  readonly tenant: string;
  readonly token: string;
  /** The name that the upstream gets. */
  readonly upstream: string;
}

interface Call {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

const STATELESS_REVISION = "2026-07-28";

const environment = (name: string): string => process.env[name] ?? "";
const scenario = environment("MCP_CONFORMANCE_SCENARIO");
const revision = environment("MCP_CONFORMANCE_PROTOCOL_VERSION");
const under = JSON.parse(environment("WRIT_UNDER_TEST")) as WritUnderTest; // as conformance.test.ts writes it
const url = process.argv.at(-1) ?? "";

async function connectV1(): Promise<ClientV1> {
  const capabilities = { elicitation: { form: { applyDefaults: true } } };
  const client = new ClientV1({ name: "conformance", version: "1" }, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept" as const, content: {} }));
  const transport = new TransportV1(endpoint(), { requestInit: requestInit() });
  // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return client;
}

async function connectV2(): Promise<ClientV2> {
  const capabilities = { elicitation: {}, sampling: {}, roots: {} };
  const client = new ClientV2(
    { name: "conformance", version: "1" },
    { capabilities, versionNegotiation: { mode: "auto" } },
  );
  client.setRequestHandler("elicitation/create", () => ({ action: "accept" as const, content: { confirmed: true } }));
  await client.connect(new TransportV2(endpoint(), { requestInit: requestInit() }));
  return client;
}

const endpoint = (): URL => new URL(`${under.gatewayUrl}/mcp/${under.upstream}`);
const requestInit = () => ({ headers: { Authorization: `Bearer ${under.token}` } });

/** The calls of a scenario, to tools that the server lists. */
function callsOf(tools: readonly { readonly name: string; readonly inputSchema: object }[]): readonly Call[] {
  switch (scenario) {
    case "tools_call":
      return [{ name: "add_numbers", arguments: { a: 5, b: 3 } }];
    case "http-custom-headers":
      return (JSON.parse(environment("MCP_CONFORMANCE_CONTEXT")) as { toolCalls: readonly Call[] }).toolCalls; // the suite's own
    case "json-schema-2020-12-preservation": {
      const schema = tools.find(({ name }) => name === "json_schema_2020_12_tool")?.inputSchema;
      return [{ name: "json_schema_echo", arguments: { schema } }];
    }
    case "http-invalid-tool-headers":
      return tools.map(({ name }) => ({ name, arguments: { region: "eu", value: "x" } }));
    case "json-schema-ref-no-deref":
      return [];
    default:
      return tools.map(({ name }) => ({ name, arguments: {} }));
  }
}

async function drive(client: ClientV1 | ClientV2): Promise<void> {
  const { tools } = await client.listTools();
  for (const call of callsOf(tools)) await client.callTool(call);
  if (scenario !== "http-standard-headers") return;
  for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
  for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
}

const admin = createAdminClient({ url: under.adminUrl, key: under.adminKey });
const params = { tenant: under.tenant };
// The server of this scenario asks on a stream of its own, which says of no call: it must be this agent's alone.
const isolation = scenario === "elicitation-sep1034-client-defaults" ? ("session" as const) : ("principal" as const);
const body = { name: under.upstream, transport: { type: "http" as const, url }, isolation };
const { id } = await admin.call("upstreams.create", { params, body });
try {
  await admin.call("upstreams.pin", { params: { ...params, id } });
  const client = revision === STATELESS_REVISION ? await connectV2() : await connectV1();
  await drive(client);
  await client.close();
} finally {
  const { version } = await admin.call("upstreams.get", { params: { ...params, id } });
  await admin.call("upstreams.remove", { params: { ...params, id }, query: { version } });
}

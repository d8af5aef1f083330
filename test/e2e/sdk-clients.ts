/** The official SDKs as a developer connects them: a URL and a bearer token, and nothing of ours. */
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

export async function connectV1(url: string, bearer: string): Promise<ClientV1> {
  const client = new ClientV1({ name: "test", version: "1" });
  const requestInit = { headers: { Authorization: `Bearer ${bearer}` } };
  // The SDK's own types disagree with exactOptionalPropertyTypes about its own transport.
  await client.connect(new TransportV1(new URL(url), { requestInit }) as Parameters<typeof client.connect>[0]);
  return client;
}

/** `legacy` opens a session; `auto` asks the server first, and opens none where it needs none. */
export async function connectV2(url: string, bearer: string, mode: "legacy" | "auto"): Promise<ClientV2> {
  const client = new ClientV2({ name: "test", version: "1" }, { versionNegotiation: { mode } });
  const requestInit = { headers: { Authorization: `Bearer ${bearer}` } };
  await client.connect(new TransportV2(new URL(url), { requestInit }));
  return client;
}

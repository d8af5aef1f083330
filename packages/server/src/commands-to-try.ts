/** The three commands that a first start prints: an allowed call, one denied by the token, one denied by a rule. */

export function commandsToTry(gatewayUrl: string, tokenFile: string): readonly { shows: string; command: string }[] {
  const call = (tool: string, args: object): string => {
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: tool,
        arguments: args,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "curl", version: "8" },
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    });
    return [
      `curl -s ${gatewayUrl}/mcp/everything`,
      `-H "Authorization: Bearer $(cat ${tokenFile})"`,
      "-H 'Content-Type: application/json'",
      "-H 'Accept: application/json, text/event-stream'",
      "-H 'MCP-Protocol-Version: 2026-07-28'",
      "-H 'Mcp-Method: tools/call'",
      `-H 'Mcp-Name: ${tool}'`,
      `-d '${body}'`,
    ].join(" ");
  };
  return [
    { shows: "allowed", command: call("echo", { message: "hello" }) },
    { shows: "denied by the token: its caveat on the argument a", command: call("get-sum", { a: 101, b: 1 }) },
    { shows: "denied by the rules: no-secrets-in-echo", command: call("echo", { message: "secret plan" }) },
  ];
}

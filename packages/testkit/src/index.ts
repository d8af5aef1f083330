export { startBreakingProxy } from "./breaking-proxy.ts";
export {
  type FreshPglite,
  freshDatabase,
  freshPglite,
  migrationsDirectory,
  type SharedPostgres,
  sharedPostgres,
  startSharedPostgres,
  templateDatabase,
} from "./database-template.ts";
export {
  MCP_UPSTREAM_TOOLS,
  type McpUpstream,
  type McpUpstreamOptions,
  type ReceivedCall,
  type StdioUpstreamOptions,
  serveMcpUpstreamOnLines,
  startMcpUpstream,
} from "./mcp-upstream.ts";
export { pathWithCurl } from "./path-with-curl.ts";
export {
  type PostgresServer,
  type PostgresServerOptions,
  startPostgres,
  uniqueDatabaseName,
} from "./postgres-server.ts";
export { type CutRule, startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";
export { startWrit, type WritProcess, type WritProcessOptions } from "./writ-process.ts";

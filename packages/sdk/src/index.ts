export { type Attenuation, attenuateToken, describeToken, makeTokenHash, type TokenHash } from "@writ/token";
export {
  type AgentClient,
  type AgentClientOptions,
  createAgentClient,
  DenialError,
  type RecordChildInput,
  type RecordedChild,
  type ToolAnswer,
  type ToolCall,
  ToolError,
} from "./agent-client.ts";

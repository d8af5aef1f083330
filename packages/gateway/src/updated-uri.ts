/** Reads which resource a notification of MCP says was updated. Decides nothing about it. */
import { membersOf, valueText } from "./json-members.ts";

/** The URI; undefined where that cannot be said. */
export function updatedUri(params: string): string | undefined {
  const uris = membersOf(params).filter(({ name }) => name === "uri");
  const [only] = uris;
  const uri: unknown = uris.length === 1 && only !== undefined ? JSON.parse(valueText(params, only)) : undefined;
  return typeof uri === "string" ? uri : undefined;
}

/**
 * What an endpoint tells its clients that it can do: what the server behind it says of itself, as far as Writ passes it
 * on. A capability that nobody here has heard of is not promised.
 */
import { findMember, membersOf, valueText } from "../../json-members.ts";

/** By capability, its members that are promised too. */
const PASSED: Readonly<Record<string, readonly string[]>> = {
  tools: ["listChanged"],
  resources: ["subscribe", "listChanged"],
  prompts: ["listChanged"],
  completions: [],
  logging: [],
};

/**
 * JSON text of the capabilities that some of the servers has; of one that nothing is known of, tools, which Writ lists by
 * itself.
 */
export function passedCapabilities(servers: readonly string[]): string {
  const passed: string[] = [];
  for (const [name, flags] of Object.entries(PASSED)) {
    const values = servers.map((server) => capabilityOf(server, name)).filter((value) => value !== undefined);
    if (values.length === 0) continue;
    const kept = flags.filter((flag) =>
      values.some((value) => {
        const found = findMember(membersOf(value), flag);
        return found !== undefined && valueText(value, found) === "true";
      }),
    );
    passed.push(`"${name}":{${kept.map((flag) => `"${flag}":true`).join(",")}}`);
  }
  return `{${passed.join(",")}}`;
}

function capabilityOf(server: string, name: string): string | undefined {
  if (!server.startsWith("{")) return name === "tools" ? "{}" : undefined;
  const member = findMember(membersOf(server), name);
  const value = member === undefined ? "" : valueText(server, member);
  return value.startsWith("{") ? value : undefined;
}

/** Whether capabilities that were passed have this one, or this member of it. */
export function offers(capabilities: string, name: string, flag?: string): boolean {
  const member = findMember(membersOf(capabilities), name);
  if (member === undefined || flag === undefined) return member !== undefined;
  return findMember(membersOf(valueText(capabilities, member)), flag) !== undefined;
}

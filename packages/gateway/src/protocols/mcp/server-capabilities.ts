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

/** JSON text of the capabilities; of a server that nothing is known of, tools, which Writ lists by itself. */
export function passedCapabilities(server: string): string {
  if (!server.startsWith("{")) return '{"tools":{}}';
  const members = membersOf(server);
  const passed: string[] = [];
  for (const [name, flags] of Object.entries(PASSED)) {
    const member = findMember(members, name);
    const value = member === undefined ? "" : valueText(server, member);
    if (!value.startsWith("{")) continue;
    const own = membersOf(value);
    const kept = flags.filter((flag) => {
      const found = findMember(own, flag);
      return found !== undefined && valueText(value, found) === "true";
    });
    passed.push(`"${name}":{${kept.map((flag) => `"${flag}":true`).join(",")}}`);
  }
  return `{${passed.join(",")}}`;
}

/** Whether capabilities that were passed have this one, or this member of it. */
export function offers(capabilities: string, name: string, flag?: string): boolean {
  const member = findMember(membersOf(capabilities), name);
  if (member === undefined || flag === undefined) return member !== undefined;
  return findMember(membersOf(valueText(capabilities, member)), flag) !== undefined;
}

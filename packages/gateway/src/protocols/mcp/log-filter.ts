/** Which log messages of an upstream an agent asked for. Levels are those of RFC 5424, as MCP spells them. */
import { findMember, membersOf, valueText } from "../../json-members.ts";
import { LOG_LEVELS } from "../../log-levels.ts";

export function isLogLevel(level: unknown): level is string {
  return typeof level === "string" && LOG_LEVELS.includes(level);
}

/** Whether a message (JSON text of its params) is at or above `level`. */
export function reaches(level: string, params: string): boolean {
  const member = findMember(membersOf(params), "level");
  const own: unknown = member === undefined ? undefined : JSON.parse(valueText(params, member));
  return isLogLevel(own) && LOG_LEVELS.indexOf(own) >= LOG_LEVELS.indexOf(level);
}

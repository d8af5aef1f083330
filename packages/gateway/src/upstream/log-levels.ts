/**
 * The level of log messages of one upstream session, which all who share the session set: it is the most verbose one that
 * anybody asked for, and each adapter passes to its agent what that agent asked for. No I/O.
 */
import { findMember, membersOf, valueText } from "../json-members.ts";
import { LOG_LEVELS } from "../log-levels.ts";
import type { AnswerSink, SendOutcome, UpstreamMessage } from "../ports.ts";

export interface LogLevels {
  /** JSON text of the result where the server need not be asked; undefined where the request goes to it. */
  answer(message: UpstreamMessage, stateless: boolean): string | undefined;
}

export function createLogLevels(): LogLevels {
  let least = LOG_LEVELS.length;
  return {
    answer(message, stateless) {
      if (message.method !== "logging/setLevel") return undefined;
      // The stateless revision has the level in each request.
      if (stateless) return "{}";
      const member = findMember(membersOf(message.params), "level");
      const level =
        member === undefined ? -1 : LOG_LEVELS.indexOf(String(JSON.parse(valueText(message.params, member))));
      if (level >= least) return "{}";
      if (level >= 0) least = level;
      return undefined;
    },
  };
}

/** An answer that no server was asked for. */
export async function answerLocally(json: string, sink: AnswerSink): Promise<SendOutcome> {
  await sink.response("result", json);
  return { kind: "completed", bytes: 0, notifications: 0, error: false };
}

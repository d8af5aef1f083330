/**
 * What ties the answers that an agent gives to an upstream (`inputResponses` of MCP 2026-07-28) to what that upstream
 * asked of it and Writ allowed. No gateway remembers a question: it is sealed into the `requestState` that the agent
 * gives back with its answers, under a key that all gateways derive from the master key.
 *
 *   input_required {inputRequests, requestState}   ──seal──▶  requestState = writ1.<mac>.<what was asked, and the upstream's own>
 *   the same request again, with answers and that  ──open──▶  the upstream's own state, and the answers that were asked for
 *
 * It says what was asked, of whom and for which request; whether that is still allowed is decided by the judge.
 */
import { createHmac, hash, type KeyObject, timingSafeEqual } from "node:crypto";
import { writeJson } from "@writ/contract";
import type { AskedQuestion } from "./input-requests.ts";
import { findMember, membersOf, valueText, withMember, withoutMember } from "./json-members.ts";
import type { AgentCall, Clock } from "./ports.ts";

/** Whose request it is; what of the call is bound is named in `bindingOf`. */
export interface Asked {
  readonly tenantId: string;
  readonly agentId: string;
  readonly call: AgentCall;
}

export interface InputStates {
  /** The result that asks, with a state of ours; undefined when what it would hold is too large. */
  seal(asked: Asked, questions: readonly AskedQuestion[], result: string): string | undefined;
  /** The call as it goes on: what was asked of its agent, and the parameters as its upstream is to get them. */
  open(asked: Asked): AgentCall;
}

export interface InputStatesOptions {
  readonly clock: Clock;
  readonly keyOf: (tenantId: string) => KeyObject;
}

const PREFIX = "writ1.";
const STATE_LENGTH_MAX = 256 * 1024;
/** A person may take as long to answer. */
const ANSWER_WITHIN_MS = 24 * 3_600_000;
/** What a state of ours holds. */
interface Sealed {
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly asked: readonly AskedQuestion[];
  /** The upstream's own. */
  readonly state?: string;
}

const UNASKED = { kind: "unasked" } as const;

export function createInputStates({ clock, keyOf }: InputStatesOptions): InputStates {
  function macOf(asked: Asked, body: string): string {
    // Both are JSON texts in a JSON array, so that no two pairs are one text.
    const text = JSON.stringify([bindingOf(asked), body]);
    return createHmac("sha256", keyOf(asked.tenantId)).update(text).digest("base64url");
  }

  /** Undefined when it is none of ours, or not of this request, or too old. */
  function read(asked: Asked, state: string | undefined): Sealed | undefined {
    if (state?.startsWith(PREFIX) !== true || state.length > STATE_LENGTH_MAX) return undefined;
    const dot = state.indexOf(".", PREFIX.length);
    const body = state.slice(dot + 1);
    const given = Buffer.from(state.slice(PREFIX.length, Math.max(dot, PREFIX.length)), "utf8");
    const mac = Buffer.from(macOf(asked, body), "utf8");
    if (given.length !== mac.length || !timingSafeEqual(given, mac)) return undefined;
    const sealed = JSON.parse(body) as Sealed; // `seal` wrote it: nobody else has the key
    return clock.nowMs() < sealed.until ? sealed : undefined;
  }

  return {
    seal(asked, questions, result) {
      const member = findMember(membersOf(result), "requestState");
      const sealed: Sealed = {
        until: clock.nowMs() + ANSWER_WITHIN_MS,
        asked: questions,
        // A string, as whoever read the questions has made sure.
        ...(member === undefined ? {} : { state: JSON.parse(valueText(result, member)) as string }),
      };
      const body = JSON.stringify(sealed);
      const state = `${PREFIX}${macOf(asked, body)}.${body}`;
      return state.length > STATE_LENGTH_MAX ? undefined : withMember(result, "requestState", JSON.stringify(state));
    },
    open(asked) {
      const { call } = asked;
      const { resumes, message } = call;
      if (resumes?.kind !== "claimed" || message === undefined) return call;
      const opened = read(asked, resumes.state);
      if (opened === undefined) return { ...call, resumes: UNASKED };
      let params =
        opened.state === undefined
          ? withoutMember(message.params, "requestState")
          : withMember(message.params, "requestState", JSON.stringify(opened.state));
      const answered = new Set(resumes.answers);
      const questions = opened.asked.filter(({ key }) => answered.delete(key));
      const answers = findMember(membersOf(params), "inputResponses");
      if (answers !== undefined && answered.size > 0) {
        // What nobody asked for is ignored, as the revision says of servers.
        const text = [...answered].reduce(withoutMember, valueText(params, answers));
        params = withMember(params, "inputResponses", text);
      }
      return { ...call, argumentsText: params, message: { ...message, params }, resumes: { kind: "asked", questions } };
    },
  };
}

/** What must be the same when the answers come: who is asked, by whom, for which request. */
function bindingOf({ tenantId, agentId, call }: Asked): string {
  const { upstream, action, tool, named, arguments: args } = call;
  const digest = hash("sha256", writeJson(args), "hex");
  return JSON.stringify([tenantId, agentId, upstream, action, tool, named?.kind ?? "", named?.name ?? "", digest]);
}

/**
 * What comes back for one call on a channel that calls share: its own notifications and its response, handed to its
 * reader in order and within bounds, and the one outcome that it ends with. How a request goes out, and whether it can
 * have arrived, is known to the session alone.
 */
import type { AnswerSink, SendOutcome } from "../ports.ts";
import type { UpstreamLimits } from "./limits.ts";
import { isComplete, type ServerMessage } from "./messages.ts";

export type ServerNotification = Extract<ServerMessage, { readonly kind: "notification" }>;

export interface CallAnswerOptions {
  readonly sink: AnswerSink;
  readonly limits: UpstreamLimits;
  /** The params of a notification as its reader gets them; undefined where it gets none. */
  readonly read: (part: ServerNotification) => string | undefined;
  /** A listening lasts as long as its listener: what it hears has no sum that could be too large. */
  readonly lasts: boolean;
  /** Whether a result may ask the agent for input. */
  readonly mayAsk: boolean;
  /** The response has come: no message after it is one of the call's. */
  readonly onResponse: () => void;
  /** Ends the call from this side, for a reason that its answer gave. */
  readonly cut: (detail: string) => void;
  /** Called once. */
  readonly onEnd: (outcome: SendOutcome) => void;
}

export interface CallAnswer {
  isOver(): boolean;
  /** A message of the call, and its length in UTF-16 code units. */
  message(part: ServerMessage, length: number): void;
  /** No more can come of a request that may have arrived. Any message of the call shows that it had. */
  broken(detail: string): void;
  fail(detail: string, more?: { readonly unavailable: boolean }): void;
  /** The first of all ends counts. */
  end(outcome: SendOutcome): void;
}

export function createCallAnswer(options: CallAnswerOptions): CallAnswer {
  const { sink, limits, lasts, cut } = options;
  let bytes = 0;
  let notifications = 0;
  let held = 0;
  let chain: Promise<void> | undefined;
  let over = false;

  function end(outcome: SendOutcome): void {
    if (over) return;
    over = true;
    options.onEnd(outcome);
  }

  function fail(detail: string, more?: { readonly unavailable: boolean }): void {
    end({ kind: "failed", detail, bytes, notifications, ...more });
  }

  /** Hands something to the reader, after all that it was handed before. */
  function hand(give: () => void | Promise<void>, then?: () => void): void {
    const step = async (): Promise<void> => {
      try {
        if (!over) await give();
      } catch {
        // The agent's side is broken: the call ends as one that was cut.
        cut("the reader of the answer failed");
      }
      held -= 1;
      then?.();
    };
    held += 1;
    chain = chain === undefined ? step() : chain.then(step);
  }

  function notification(part: ServerNotification): void {
    const params = options.read(part);
    if (params === undefined) return;
    notifications += 1;
    if ((notifications > limits.notificationsMax && !lasts) || held >= limits.notificationsHeldMax) return;
    hand(() => sink.notification(part.method, params));
  }

  return {
    isOver: () => over,
    message(part, length) {
      if (!lasts) bytes += length;
      if (bytes > limits.answerBytesMax) return cut(`the answer is larger than ${limits.answerBytesMax} bytes`);
      if (part.kind === "notification") return notification(part);
      if (part.kind === "request") return;
      options.onResponse();
      if (part.kind === "unreadable") return fail(part.detail);
      const { member, json } = part;
      if (member === "result" && !options.mayAsk && !isComplete(json)) {
        return fail("the upstream asked for input, which is not passed on");
      }
      hand(
        () => sink.response(member, json),
        () => end({ kind: "completed", bytes, notifications, error: member === "error" }),
      );
    },
    broken(detail) {
      if (bytes > 0) fail(detail);
      else end({ kind: "unknown", detail });
    },
    fail,
    end,
  };
}

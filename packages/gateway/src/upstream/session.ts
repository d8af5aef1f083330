/** What a session with one upstream offers, whatever carries it. */
import type { AnswerSink, SendOutcome, UpstreamMessage } from "../ports.ts";
import type { Implementation } from "./messages.ts";

export interface UpstreamSession {
  readonly revision: string;
  /** JSON text of the server's capabilities and of its own description; "{}" where it gave none. */
  readonly capabilities: string;
  readonly serverInfo: string;
  /** JSON text of a string, or undefined. */
  readonly instructions: string | undefined;
  /** False once no further call can be sent on it. */
  alive(): boolean;
  /** Never throws. `deadlineMs` is a duration from now. */
  send(message: UpstreamMessage, sink: AnswerSink, options: SendOptions): Promise<SendOutcome>;
  /** Ends it; running calls end as broken. Idempotent, bounded. */
  close(): Promise<void>;
}

export interface SendOptions {
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
}

/** Where an upstream side writes for operators: an event name and fields without anything that agents supplied. */
export type UpstreamLog = (event: string, fields: Readonly<Record<string, string | number>>) => void;

export interface SessionContext {
  /** Whether one agent's session has it for itself. */
  readonly alone: boolean;
  /** JSON text of what a server of a session revision is told that it may ask for. */
  readonly clientCapabilities: string;
  readonly client: Implementation;
  /** The server says that its tools have changed. */
  readonly toolsChanged: () => void;
  readonly log: UpstreamLog;
}

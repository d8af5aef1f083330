/**
 * Who listens on one upstream session of the revisions that push what belongs to no request: changed lists, updated
 * resources. The session has one stream for that, so what comes on it goes to those who asked for it and to nobody else.
 * How the stream is opened is its session's business; who may hear of what has been decided elsewhere.
 */
import { findMember, membersOf, valueText } from "../json-members.ts";
import type { AnswerSink, SendOutcome, UpstreamMessage } from "../ports.ts";
import { updatedUri } from "../updated-uri.ts";
import type { SendOptions } from "./session.ts";

export interface EarsOptions {
  /** Subscribes the session to a resource for the first who listens, or ends that with the last. Never rejects. */
  readonly subscribe: (method: "resources/subscribe" | "resources/unsubscribe", uri: string) => Promise<void>;
  /** The first listener has come: from now on there is somebody to hear. */
  readonly begin: () => void;
  readonly end: () => void;
  /** Whether the session is one agent's alone, so that whatever comes on it is for that agent. */
  readonly alone: boolean;
  /** JSON text of what the server says that it can do. */
  readonly capabilities: () => string;
  /** The server says that its tools have changed, whoever listens. */
  readonly toolsChanged: () => void;
}

export const TOOLS_CHANGED = "notifications/tools/list_changed";

export interface Ears {
  /** A listening, until it is cut or the session ends. Never rejects. */
  listen(message: UpstreamMessage, sink: AnswerSink, options: Pick<SendOptions, "signal">): Promise<SendOutcome>;
  /** A notification that belongs to no call; whether it is one that is passed on at all. */
  hear(part: { readonly method: string; readonly params: string }): "heard" | "stray";
  /** Whom a question can be put to that belongs to no call. */
  asked(): AnswerSink["request"];
  listening(): number;
  close(): void;
}

interface Wants {
  readonly tools: boolean;
  readonly prompts: boolean;
  readonly resources: boolean;
  readonly uris: ReadonlySet<string>;
}

interface Listener {
  readonly wants: Wants;
  readonly sink: AnswerSink;
  readonly stop: () => void;
  heard: number;
}

export function createEars(options: EarsOptions): Ears {
  const listeners = new Set<Listener>();
  const counts = new Map<string, number>();

  function give(listener: Listener, method: string, params: string): void {
    listener.heard += 1;
    // Whoever reads slowly is cut by the listener's own limit; the others do not wait for it.
    void Promise.resolve(listener.sink.notification(method, params)).catch(() => listener.stop());
  }

  async function subscribeAll(listener: Listener): Promise<void> {
    for (const uri of listener.wants.uris) {
      const before = counts.get(uri) ?? 0;
      counts.set(uri, before + 1);
      if (before === 0) await options.subscribe("resources/subscribe", uri);
    }
  }

  async function unsubscribeAll(listener: Listener): Promise<void> {
    for (const uri of listener.wants.uris) {
      const left = (counts.get(uri) ?? 1) - 1;
      if (left > 0) counts.set(uri, left);
      else {
        counts.delete(uri);
        await options.subscribe("resources/unsubscribe", uri);
      }
    }
  }

  return {
    async listen(message, sink, { signal }) {
      if (signal.aborted) return { kind: "aborted", detail: "the call was cut" };
      let stop: () => void = () => undefined;
      const stopped = new Promise<void>((resolve) => {
        stop = resolve;
      });
      signal.addEventListener("abort", stop, { once: true });
      const wants = honoured(readWants(message.params), options.capabilities());
      const listener: Listener = { wants, sink, stop, heard: 0 };
      listeners.add(listener);
      if (listeners.size === 1) options.begin();
      give(listener, "notifications/subscriptions/acknowledged", `{"notifications":${describe(wants)}}`);
      await subscribeAll(listener);
      await stopped;
      signal.removeEventListener("abort", stop);
      listeners.delete(listener);
      if (listeners.size === 0) options.end();
      await unsubscribeAll(listener);
      return { kind: "completed", bytes: 0, notifications: listener.heard, error: false };
    },
    hear({ method, params }) {
      const wanted = wantedBy(method, params, options.alone);
      if (wanted === undefined) return "stray";
      if (method === TOOLS_CHANGED) options.toolsChanged();
      for (const listener of listeners) if (wanted(listener.wants)) give(listener, method, params);
      return "heard";
    },
    asked: () => (options.alone ? [...listeners].at(-1)?.sink.request : undefined),
    listening: () => listeners.size,
    close() {
      for (const listener of listeners) listener.stop();
    },
  };
}

/** Which listeners a notification is for; undefined when it is none that is passed on. */
function wantedBy(method: string, params: string, alone: boolean): ((wants: Wants) => boolean) | undefined {
  switch (method) {
    case TOOLS_CHANGED:
      return ({ tools }) => tools;
    case "notifications/prompts/list_changed":
      return ({ prompts }) => prompts;
    case "notifications/resources/list_changed":
      return ({ resources }) => resources;
    case "notifications/resources/updated": {
      const uri = updatedUri(params);
      return ({ uris }) => uri !== undefined && uris.has(uri);
    }
    case "notifications/message":
      // A log line tells of somebody's call: on a shared session nothing says of whose.
      return () => alone;
    default:
      return undefined;
  }
}

/** Of JSON that this gateway has written itself. */
function readWants(params: string): Wants {
  const member = findMember(membersOf(params), "notifications");
  const asked: unknown = member === undefined ? {} : JSON.parse(valueText(params, member));
  const notifications = asked as Readonly<Record<string, unknown>>; // an object, as `listenParams` writes it
  const uris = notifications["resourceSubscriptions"];
  return {
    tools: notifications["toolsListChanged"] === true,
    prompts: notifications["promptsListChanged"] === true,
    resources: notifications["resourcesListChanged"] === true,
    uris: new Set(Array.isArray(uris) ? uris.filter((uri) => typeof uri === "string") : []),
  };
}

/** What a server can be listened to for. */
function honoured(wants: Wants, capabilities: string): Wants {
  const server = JSON.parse(capabilities) as Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>; // as read from the server: an object
  const can = (name: string, flag: string): boolean => server[name]?.[flag] === true;
  return {
    tools: wants.tools && can("tools", "listChanged"),
    prompts: wants.prompts && can("prompts", "listChanged"),
    resources: wants.resources && can("resources", "listChanged"),
    uris: can("resources", "subscribe") ? wants.uris : new Set(),
  };
}

function describe({ tools, prompts, resources, uris }: Wants): string {
  return JSON.stringify({
    ...(tools ? { toolsListChanged: true } : {}),
    ...(prompts ? { promptsListChanged: true } : {}),
    ...(resources ? { resourcesListChanged: true } : {}),
    ...(uris.size > 0 ? { resourceSubscriptions: [...uris] } : {}),
  });
}

/**
 * One listening at several upstreams, as one stream: it begins with one acknowledgement of what all of them together have
 * granted, and goes on with what any of them tells. Whether an agent may hear of it was decided before it comes here.
 */
import { findMember, membersOf, valueText } from "../../json-members.ts";
import { updateOn, uriOn } from "./all-upstreams.ts";

export interface MergedListening {
  /** A notification of one upstream. A promise is back-pressure. */
  hear(upstream: string, method: string, params: string): void | Promise<void>;
  /** The upstream's part is over. "granted": it had been acknowledged. */
  over(upstream: string): "granted" | "never granted";
  /** Acknowledges what has been granted by now; whoever has not answered is left out. Idempotent. */
  acknowledge(): void;
}

/** What is told before the acknowledgement, which must come first; the rest is dropped. */
const HELD_MAX = 256;
const ACKNOWLEDGED = "notifications/subscriptions/acknowledged";
const CHANGES = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"] as const;

export function createMergedListening(options: {
  readonly upstreams: readonly string[];
  readonly say: (method: string, params: string) => void | Promise<void>;
}): MergedListening {
  const { say } = options;
  const waiting = new Set(options.upstreams);
  const granted = new Set<string>();
  const changes = new Set<string>();
  const uris: string[] = [];
  const held: (() => void | Promise<void>)[] = [];
  let isAcknowledged = false;

  function acknowledge(): void {
    if (isAcknowledged) return;
    isAcknowledged = true;
    const own = Object.fromEntries([...changes].map((change) => [change, true]));
    const all = { ...own, ...(uris.length === 0 ? {} : { resourceSubscriptions: uris }) };
    // Whoever reads slowly is cut by the listener's own limit: nobody waits for these.
    void say(ACKNOWLEDGED, JSON.stringify({ notifications: all }));
    for (const tell of held.splice(0)) void tell();
  }

  function answered(upstream: string): void {
    waiting.delete(upstream);
    if (waiting.size === 0 && granted.size > 0) acknowledge();
  }

  return {
    acknowledge,
    hear(upstream, method, params) {
      if (method !== ACKNOWLEDGED) {
        // What was not promised is not told: an upstream that answers too late is heard no more.
        if (isAcknowledged && !granted.has(upstream)) return;
        const own = method === "notifications/resources/updated" ? updateOn(upstream, params) : params;
        if (isAcknowledged) return say(method, own);
        if (held.length < HELD_MAX) held.push(() => (granted.has(upstream) ? say(method, own) : undefined));
        return;
      }
      if (isAcknowledged) return;
      granted.add(upstream);
      const told = readGranted(params);
      for (const change of CHANGES) if (told[change] === true) changes.add(change);
      const own = told["resourceSubscriptions"];
      for (const uri of Array.isArray(own) ? own : []) if (typeof uri === "string") uris.push(uriOn(upstream, uri));
      answered(upstream);
    },
    over(upstream) {
      answered(upstream);
      return granted.has(upstream) ? "granted" : "never granted";
    },
  };
}

/** What an upstream says that it has granted, of valid JSON. */
function readGranted(params: string): Readonly<Record<string, unknown>> {
  const member = findMember(membersOf(params), "notifications");
  const text = member === undefined ? "{}" : valueText(params, member);
  return text.startsWith("{") ? (JSON.parse(text) as Readonly<Record<string, unknown>>) : {}; // an object, as its brace says
}

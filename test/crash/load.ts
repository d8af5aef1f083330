/**
 * Clients that call tools of one upstream through a gateway without a break, over HTTP on keep-alive connections, and
 * write down what each call was told. Each call has arguments of its own, so that it is recognised wherever it
 * appears. They expect nothing: a connection that breaks is an answer like any other. Some calls have an idempotency key,
 * and are made again under it until they are told what became of them. Now and then they only ask for a decision.
 */
import { randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import type { Reason } from "@writ/contract";
import type { ToldCall } from "../invariants/check-history.ts";

export interface LoadOptions {
  readonly gatewayUrl: string;
  readonly upstream: string;
  /** One client a token; a client whose token is spent goes on with `fallback`. */
  readonly tokens: readonly string[];
  readonly fallback: string;
  /** A number from 0 to 1; decides which tool is called next. */
  readonly random: () => number;
  /** The agent of the tokens. */
  readonly agentId: string;
  /** Calls of an earlier load that are to be made again. */
  readonly again?: readonly KeyedCall[];
}

/** A call under an idempotency key, of which nobody was told yet what became of it. */
export interface KeyedCall extends ChosenCall {
  readonly key: string;
  readonly token: string;
}

interface ChosenCall {
  readonly tool: string;
  readonly argumentsText: string;
}

export interface Load {
  /** Everything that was told so far. */
  readonly told: readonly ToldCall[];
  /** Calls whose connection broke before an answer. */
  readonly lost: () => number;
  /** How often each reason was told. */
  readonly reasons: ReadonlyMap<string, number>;
  /** What is still to be made again. */
  readonly unanswered: () => readonly KeyedCall[];
  /** Each client ends its call under way, then stops. */
  stop(): Promise<void>;
}

export interface Answer {
  readonly kind: "answered" | "refused" | "lost";
  readonly callId: string | undefined;
  readonly reason: Reason | "hidden" | undefined;
  readonly bytes: number;
}

/** A call that nobody answers within this time is given up. */
const CALL_WITHIN_MS = 20_000;
/** After a refusal a client waits, as a well-behaved one would. */
const REFUSED_PAUSE_MS = 5;
const VERSION = "2026-07-28";

/** Tools and how often they are chosen; the rest is `echo`. */
const SLOW = 0.2;
const FAILING = 0.26;
const DYING = 0.3;
const ERROR = 0.34;
/** How often a call has a key, and how often only a decision is asked for. */
const KEYED = 0.4;
const ASKED = 0.05;
/** What says nothing about whether the call was made, as its caller has to read it. */
const TRY_AGAIN: ReadonlySet<string> = new Set(["journal_unavailable", "gateway_overloaded", "state_unavailable"]);

export function startLoad(options: LoadOptions): Load {
  const { gatewayUrl, upstream, random } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: options.tokens.length });
  const told: ToldCall[] = [];
  const reasons = new Map<string, number>();
  const unanswered: KeyedCall[] = [...(options.again ?? [])];
  let lost = 0;
  let stopping = false;

  async function run(first: string): Promise<void> {
    let token = first;
    while (!stopping) {
      const keyed = unanswered.shift() ?? chooseKey(token);
      const { tool, argumentsText } = keyed ?? chooseCall(random());
      if (keyed === undefined && random() < ASKED) {
        const given = await askDecision({ ...options, token, tool, argumentsText, agent });
        if (given !== undefined) told.push({ kind: "given", callId: given });
        continue;
      }
      const call = { gatewayUrl, upstream, tool, argumentsText, agent };
      const answer = await callTool(
        keyed === undefined ? { ...call, token } : { ...call, token: keyed.token, key: keyed.key },
      );
      const { callId, reason } = answer;
      if (keyed !== undefined && (answer.kind === "lost" || TRY_AGAIN.has(reason ?? ""))) unanswered.push(keyed);
      if (answer.kind === "lost") lost += 1;
      else if (answer.kind === "answered") told.push({ kind: "answered", callId: callId ?? "", argumentsText });
      else {
        reasons.set(reason ?? "", (reasons.get(reason ?? "") ?? 0) + 1);
        told.push({ kind: "refused", callId, reason: reason ?? "hidden" });
        if (reason === "budget_exhausted" || reason === "rate_denials") token = options.fallback;
      }
      if (answer.kind !== "answered") await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
    }
  }

  function chooseKey(token: string): KeyedCall | undefined {
    return random() < KEYED ? { ...chooseCall(random()), key: randomUUID(), token } : undefined;
  }

  const clients = options.tokens.map(run);
  return {
    told,
    lost: () => lost,
    reasons,
    unanswered: () => unanswered,
    async stop() {
      stopping = true;
      await Promise.all(clients);
      agent.destroy();
    },
  };
}

function chooseCall(at: number): ChosenCall {
  const id = randomUUID();
  if (at < SLOW) return { tool: "slow", argumentsText: `{"steps": 4,"wait":true ,"id":"${id}"}` };
  if (at < FAILING) return { tool: "fail-after-headers", argumentsText: `{"id":"${id}"}` };
  if (at < DYING) return { tool: "die", argumentsText: `{"id":"${id}"}` };
  if (at < ERROR) return { tool: "error", argumentsText: `{"id":"${id}"}` };
  return { tool: "echo", argumentsText: `{"message":"${id}", "n":1.0}` };
}

export interface CallOptions {
  readonly gatewayUrl: string;
  readonly upstream: string;
  readonly token: string;
  readonly tool: string;
  readonly argumentsText: string;
  readonly key?: string;
  readonly agent?: Agent;
  /** Called once when the answer begins, and at each part of it. */
  readonly onBytes?: (bytes: number) => void;
}

/** One call over the stateless revision of MCP. Never rejects. */
export function callTool(options: CallOptions): Promise<Answer> {
  const { gatewayUrl, upstream, token, tool, argumentsText } = options;
  const meta = `{"io.modelcontextprotocol/protocolVersion":"${VERSION}","io.modelcontextprotocol/clientInfo":{"name":"load","version":"1"},"io.modelcontextprotocol/clientCapabilities":{},"progressToken":"p"}`;
  const body = `{"jsonrpc":"2.0","id":"${randomUUID()}","method":"tools/call","params":{"name":"${tool}","arguments":${argumentsText},"_meta":${meta}}}`;
  return new Promise((resolve) => {
    const broken = (bytes: number): void => resolve({ kind: "lost", callId: undefined, reason: undefined, bytes });
    const outgoing = request(
      `${gatewayUrl}/mcp/${upstream}`,
      {
        method: "POST",
        ...(options.agent === undefined ? {} : { agent: options.agent }),
        timeout: CALL_WITHIN_MS,
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          "mcp-protocol-version": VERSION,
          "mcp-method": "tools/call",
          "mcp-name": tool,
          ...(options.key === undefined ? {} : { "idempotency-key": `"${options.key}"` }),
          "content-length": Buffer.byteLength(body),
        },
      },
      (incoming) => {
        let text = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => {
          text += chunk;
          options.onBytes?.(text.length);
        });
        incoming.on("error", () => broken(text.length));
        incoming.on("aborted", () => broken(text.length));
        incoming.on("end", () => {
          const header = incoming.headers["writ-call-id"];
          resolve(readAnswer(text, typeof header === "string" ? header : undefined));
        });
      },
    );
    outgoing.on("timeout", () => outgoing.destroy());
    outgoing.on("error", () => broken(0));
    outgoing.end(body);
  });
}

/** Asks whether this call would be allowed. The id of the decision that was given; undefined for every other answer. */
function askDecision(options: CallOptions & { readonly agentId: string }): Promise<string | undefined> {
  const { gatewayUrl, upstream, token, tool, argumentsText, agentId, agent } = options;
  const body = `{"subject":{"type":"agent","id":"${agentId}"},"action":{"name":"tool.call"},"resource":{"type":"tool","id":"${upstream}/${tool}"},"context":{"arguments":${argumentsText}}}`;
  return new Promise((resolve) => {
    const outgoing = request(
      `${gatewayUrl}/access/v1/evaluation`,
      {
        method: "POST",
        ...(agent === undefined ? {} : { agent }),
        timeout: CALL_WITHIN_MS,
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        },
      },
      (incoming) => {
        let text = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => {
          text += chunk;
        });
        incoming.on("error", () => resolve(undefined));
        incoming.on("aborted", () => resolve(undefined));
        incoming.on("end", () => {
          // An answer of the gateway under test.
          const answer = JSON.parse(text) as {
            readonly decision?: boolean;
            readonly context?: { readonly callId: string };
          };
          resolve(answer.decision === true ? answer.context?.callId : undefined);
        });
      },
    );
    outgoing.on("timeout", () => outgoing.destroy());
    outgoing.on("error", () => resolve(undefined));
    outgoing.end(body);
  });
}

interface Told {
  readonly result?: unknown;
  readonly error?: {
    readonly message?: string;
    readonly data?: { readonly reason?: Reason; readonly callId?: string };
  };
  /** Of problem+json. */
  readonly reason?: Reason;
  readonly code?: Reason;
  readonly callId?: string;
}

function readAnswer(text: string, callId: string | undefined): Answer {
  const bytes = text.length;
  const messages = text.startsWith("{")
    ? [text]
    : text
        .split("\n")
        .filter((line) => line.startsWith("data: {"))
        .map((line) => line.slice("data: ".length));
  const last = messages.at(-1);
  if (last === undefined) return { kind: "lost", callId, reason: undefined, bytes };
  // An answer of the gateway under test; what is not there is undefined.
  const message = JSON.parse(last) as Told;
  if (message.result !== undefined) return { kind: "answered", callId, reason: undefined, bytes };
  const data = message.error?.data;
  const reason = data?.reason ?? message.reason ?? message.code;
  if (reason !== undefined) return { kind: "refused", callId: data?.callId ?? message.callId ?? callId, reason, bytes };
  if (message.error?.message === "broken on purpose") return { kind: "answered", callId, reason: undefined, bytes };
  if (message.error !== undefined) return { kind: "refused", callId, reason: "hidden", bytes };
  return { kind: "lost", callId, reason: undefined, bytes };
}

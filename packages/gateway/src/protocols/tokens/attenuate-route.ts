/**
 * `POST /v1/tokens/attenuate`: a holder asks for a recorded child of the token that it presents. Reads the body, hands
 * the attempt to the gate and writes the answer; what may be recorded is decided elsewhere.
 *
 *     {"caveats": [{"calls": 10}], "carve": [{"unit": "calls", "window": "day", "amount": 10}], "agent": "<id>"}
 */
import {
  BUDGET_UNITS,
  type BudgetUnit,
  type Carve,
  type JsonObject,
  type JsonValue,
  parseStrictJson,
  WINDOWS,
  type Window,
  writeJson,
} from "@writ/contract";
import { encodeHttpDenial } from "../../encode-denial.ts";
import type { CallSink, Gate } from "../../gate.ts";
import type { AgentCall, ChildRequest } from "../../ports.ts";
import type { Exchange, Route } from "../../server/data-listener.ts";
import { makeProblem } from "../../server/problem.ts";
import { describeResource, metadataUrlOf } from "../../server/resource-metadata.ts";

const PATH = "/v1/tokens/attenuate";
const CAVEATS_MAX = 32;
const CARVES_MAX = 8;
const MEMBERS = new Set(["caveats", "carve", "agent"]);

export function createAttenuateRoutes(options: {
  readonly gate: Gate;
  readonly publicUrl: () => string;
}): readonly Route[] {
  const { gate } = options;
  return [{ method: "POST", pattern: PATH, handle }, describeResource(PATH, options.publicUrl)];

  async function handle(exchange: Exchange): Promise<void> {
    const { authorization } = exchange.request.headers;
    const resourceMetadataUrl = metadataUrlOf(options.publicUrl(), PATH);
    const authentication = await gate.authenticate({ authorization, remoteAddress: exchange.remoteAddress });
    if (authentication.kind === "rejected") {
      return exchange.problem(
        encodeHttpDenial(
          { reason: authentication.reason, detail: "", data: {} },
          { callId: undefined, resourceMetadataUrl },
        ),
      );
    }
    const body = await exchange.readBody();
    if (body.kind === "fault") return exchange.problem(makeProblem(body.reason));
    const read = readRequest(body.bytes);
    if (typeof read === "string") return exchange.problem(makeProblem("fault_params", { data: { detail: read } }));
    // The header authenticated a moment ago: it is `Bearer` and one token.
    const tokenText = (authorization ?? "").slice((authorization ?? "").indexOf(" ") + 1);
    const end = await gate.handleCall(authentication, makeCall(tokenText, read), makeSink(exchange), exchange.cut);
    switch (end.kind) {
      case "answered":
        return;
      case "denied":
        return exchange.problem(encodeHttpDenial(end.denial, { callId: end.callId, resourceMetadataUrl }));
      case "broken": {
        const { callId, reason, detail } = end;
        return exchange.problem(encodeHttpDenial({ reason, detail, data: {} }, { callId, resourceMetadataUrl }));
      }
    }
  }
}

function makeCall(parentText: string, { text, ...asked }: BodyRead): AgentCall {
  // The delegate is what policy judges a delegation by.
  const named = asked.agentId === undefined ? {} : { agent: asked.agentId };
  return {
    protocol: "api",
    action: "token.attenuate",
    upstream: "",
    tool: "",
    arguments: Object.assign(Object.create(null) as JsonObject, named), // without a prototype, as all that is judged
    argumentsText: text,
    message: undefined,
    child: { parentText, ...asked },
    mcpSession: undefined,
  };
}

/** Nothing is sent upstream, so that the one answer is Writ's own. */
function makeSink(exchange: Exchange): CallSink {
  let callId = "";
  return {
    rated: exchange.rated,
    allowed(id) {
      callId = id;
    },
    local: (json) => exchange.answer(201, { "content-type": "application/json", "writ-call-id": callId }, json),
    notification() {},
    response() {},
  };
}

interface BodyRead extends Omit<ChildRequest, "parentText"> {
  /** JSON text of the whole body, for the salted digest. */
  readonly text: string;
}

/** The request, or what is wrong with it. */
function readRequest(bytes: Uint8Array): BodyRead | string {
  const parsed = parseStrictJson(bytes);
  if (parsed.kind === "fault") return `the body is not strict JSON: ${parsed.detail}`;
  const { value } = parsed;
  if (!isObject(value)) return "the body must be an object";
  for (const name of Object.keys(value)) if (!MEMBERS.has(name)) return `unknown member ${JSON.stringify(name)}`;
  const caveats = value["caveats"] ?? [];
  if (!Array.isArray(caveats) || caveats.length > CAVEATS_MAX)
    return `caveats must be a list of at most ${CAVEATS_MAX}`;
  if (!caveats.every(isObject)) return "each caveat must be an object with exactly one member";
  const carves = readCarves(value["carve"] ?? []);
  if (typeof carves === "string") return carves;
  const agent = value["agent"];
  if (agent !== undefined && typeof agent !== "string") return "agent must be the id of an agent";
  return { caveats: caveats.map((caveat: JsonObject) => writeJson(caveat)), carves, agentId: agent, text: parsed.text };
}

function readCarves(value: JsonValue): readonly Carve[] | string {
  if (!Array.isArray(value) || value.length > CARVES_MAX) return `carve must be a list of at most ${CARVES_MAX}`;
  const carves: Carve[] = [];
  for (const item of value) {
    if (!isObject(item)) return "each carve must be an object with unit, window and amount";
    const { unit, window, amount, ...rest } = item;
    if (Object.keys(rest).length > 0) return `unknown member ${JSON.stringify(Object.keys(rest)[0])} of a carve`;
    const knownUnit = BUDGET_UNITS.find((name) => name === unit);
    const knownWindow = WINDOWS.find((name) => name === window);
    if (knownUnit === undefined) return `unit must be one of ${BUDGET_UNITS.join(", ")}`;
    if (knownWindow === undefined) return `window must be one of ${WINDOWS.join(", ")}`;
    if (typeof amount !== "number" || !Number.isSafeInteger(amount) || amount < 1)
      return "amount must be a whole number, 1 or more";
    if (carves.some((carve) => isSame(carve, knownUnit, knownWindow))) return "each unit and window may be carved once";
    carves.push({ unit: knownUnit, window: knownWindow, amount });
  }
  return carves;
}

function isSame(carve: Carve, unit: BudgetUnit, window: Window): boolean {
  return carve.unit === unit && carve.window === window;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.getPrototypeOf(value) === null;
}

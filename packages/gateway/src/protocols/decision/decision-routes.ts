/**
 * The decision API after OpenID AuthZEN Authorization API 1.0: somebody else enforces what is decided here. Reads
 * credentials and questions, asks the gate and writes the answers; a no of the gate is an answer (200), and what keeps
 * it from deciding is an error. Nothing is sent anywhere.
 *
 * An agent asks with its own token, and for nobody but itself; an enforcement point asks with its key, for the agents
 * that it may assert.
 */
import { parseStrictJson, type Reason } from "@writ/contract";
import { type DecisionContext, encodeDecisionDenial, encodeHttpDenial } from "../../encode-denial.ts";
import type { Authenticated, AuthenticatedPoint, CallSink, Gate } from "../../gate.ts";
import type { Exchange, Route } from "../../server/data-listener.ts";
import { makeProblem, type Problem } from "../../server/problem.ts";
import { describeResource, metadataUrlOf } from "../../server/resource-metadata.ts";
import { type Question, type QuestionRead, readEvaluations, readQuestion } from "./decode.ts";

export interface DecisionRouteOptions {
  readonly gate: Gate;
  readonly publicUrl: () => string;
}

const EVALUATION = "/access/v1/evaluation";
const EVALUATIONS = "/access/v1/evaluations";
const PREVIEW = "/v1/preview";
const METADATA = "/.well-known/authzen-configuration";

/** Visible ASCII: what can be sent back as a header, byte for byte. */
const REQUEST_ID = /^[\x20-\x7e]{1,512}$/;

export function createDecisionRoutes(options: DecisionRouteOptions): readonly Route[] {
  const { gate, publicUrl } = options;
  return [
    { method: "GET", pattern: METADATA, handle: describeDecisionPoint },
    { method: "POST", pattern: PREVIEW, handle: (exchange) => answer(exchange, preview) },
    { method: "POST", pattern: EVALUATION, handle: (exchange) => answer(exchange, evaluate) },
    { method: "POST", pattern: EVALUATIONS, handle: (exchange) => answer(exchange, evaluateSeveral) },
    ...[PREVIEW, EVALUATION, EVALUATIONS].map((path) => describeResource(path, publicUrl)),
  ];

  /** Section "Policy Decision Point Metadata". */
  async function describeDecisionPoint(exchange: Exchange): Promise<void> {
    const url = publicUrl();
    const metadata = {
      policy_decision_point: url,
      access_evaluation_endpoint: url + EVALUATION,
      access_evaluations_endpoint: url + EVALUATIONS,
    };
    exchange.answer(200, { "content-type": "application/json" }, JSON.stringify(metadata));
  }

  /** Runs one route; whatever comes of it goes out under the identifier that the request came with. */
  async function answer(exchange: Exchange, run: (exchange: Exchange, asker: Asker) => Promise<Answer>): Promise<void> {
    const requestId = exchange.request.headers["x-request-id"];
    const isRepeated = Array.isArray(requestId) || (requestId !== undefined && !REQUEST_ID.test(requestId));
    if (isRepeated) return exchange.problem(makeProblem("fault_header"));
    const asker = await authenticate(exchange);
    const { status, headers, body } = "status" in asker ? asker : await run(exchange, asker);
    const identified = requestId === undefined ? headers : { ...headers, "x-request-id": requestId };
    exchange.answer(status, identified, body);
  }

  async function authenticate(exchange: Exchange): Promise<Asker | Problem> {
    const { authorization } = exchange.request.headers;
    const input = { authorization, remoteAddress: exchange.remoteAddress };
    const found = isPointKey(authorization) ? await gate.authenticatePoint(input) : await gate.authenticate(input);
    if (found.kind !== "rejected") return found;
    const { reason } = found;
    return encodeHttpDenial(
      { reason, detail: "", data: {} },
      { callId: undefined, resourceMetadataUrl: metadataUrl(exchange) },
    );
  }

  async function evaluate(exchange: Exchange, asker: Asker): Promise<Answer> {
    const body = await readJson(exchange);
    if ("status" in body) return body;
    return answerOne(exchange, asker, readQuestion(body.value));
  }

  async function evaluateSeveral(exchange: Exchange, asker: Asker): Promise<Answer> {
    const body = await readJson(exchange);
    if ("status" in body) return body;
    const read = readEvaluations(body.value);
    switch (read.kind) {
      case "fault":
        return makeProblem("fault_params", { data: { detail: read.detail } });
      case "single":
        return answerOne(exchange, asker, read.read);
      case "several": {
        const { semantics, reads } = read;
        if (semantics === "execute_all") {
          const decisions = reads.map(async (each) => describe(await decide(exchange, asker, each)));
          return json({ evaluations: await Promise.all(decisions) });
        }
        const evaluations: Evaluation[] = [];
        for (const each of reads) {
          const evaluation = describe(await decide(exchange, asker, each));
          evaluations.push(evaluation);
          if (evaluation.decision === (semantics === "permit_on_first_permit")) break;
        }
        return json({ evaluations });
      }
    }
  }

  /** The same question and the same answer, about what would be decided; nothing is decided by it. */
  async function preview(exchange: Exchange, asker: Asker): Promise<Answer> {
    const body = await readJson(exchange);
    if ("status" in body) return body;
    const read = readQuestion(body.value);
    if (read.kind === "fault") return makeProblem("fault_params", { data: { detail: read.detail } });
    const { question } = read;
    const previewed = await gate.preview(presenterOf(asker, question), question);
    if (previewed.kind === "allowed") {
      const { wouldDeny } = previewed;
      return json({ decision: true, ...(wouldDeny === undefined ? {} : { context: observed(wouldDeny) }) });
    }
    const context = { ...question, callId: undefined, resourceMetadataUrl: metadataUrl(exchange) };
    const told = encodeDecisionDenial(previewed.denial, context);
    return told.kind === "undecided" ? told.problem : json({ decision: false, context: told.context });
  }

  async function answerOne(exchange: Exchange, asker: Asker, read: QuestionRead): Promise<Answer> {
    const decided = await decide(exchange, asker, read);
    return decided.kind === "undecided" ? decided.problem : json(describe(decided), decided.callId);
  }

  async function decide(exchange: Exchange, asker: Asker, read: QuestionRead): Promise<Decided> {
    if (read.kind === "fault") {
      const problem = makeProblem("fault_params", { data: { detail: read.detail } });
      return { kind: "undecided", problem, message: read.detail };
    }
    const { question } = read;
    const presenter = presenterOf(asker, question);
    const end = await gate.handleCall(presenter, question, { ...NOTHING_SENT, rated: exchange.rated }, exchange.cut);
    const context: DecisionContext = { ...question, callId: end.callId, resourceMetadataUrl: metadataUrl(exchange) };
    switch (end.kind) {
      case "answered": {
        const { callId, wouldDeny } = end;
        return { kind: "decided", callId, evaluation: { decision: true, context: { callId, ...observed(wouldDeny) } } };
      }
      case "denied":
        return decidedAs(encodeDecisionDenial(end.denial, context), end.callId);
      case "broken": {
        const { reason, detail } = end;
        return decidedAs(encodeDecisionDenial({ reason, detail, hidden: false, data: {} }, context), end.callId);
      }
    }
  }

  function presenterOf(asker: Asker, { subject }: Question): Authenticated {
    return asker.kind === "authenticated_point" ? gate.assertSubject(asker, subject) : asker;
  }

  /** Each of the endpoints is a resource by itself. */
  function metadataUrl({ request }: Exchange): string {
    return metadataUrlOf(publicUrl(), (request.url ?? "").split("?")[0] ?? "");
  }
}

type Asker = Authenticated | AuthenticatedPoint;
type Answer = Problem;

interface Evaluation {
  readonly decision: boolean;
  readonly context: Readonly<Record<string, unknown>>;
}

type Decided =
  | { readonly kind: "decided"; readonly callId: string; readonly evaluation: Evaluation }
  | { readonly kind: "undecided"; readonly problem: Problem; readonly message: string };

/** There is no answer but the decision. */
const NOTHING_SENT: CallSink = { allowed() {}, local() {}, notification() {}, response() {} };

/** An allow that only observe mode made one says so. */
function observed(wouldDeny: Reason | undefined): { readonly would_deny?: Reason } {
  return wouldDeny === undefined ? {} : { would_deny: wouldDeny };
}

function isPointKey(authorization: string | undefined): boolean {
  return /^bearer +wpep_/i.test(authorization ?? "");
}

function decidedAs(denial: ReturnType<typeof encodeDecisionDenial>, callId: string): Decided {
  if (denial.kind === "undecided") {
    return { kind: "undecided", problem: denial.problem, message: denial.reason };
  }
  return { kind: "decided", callId, evaluation: { decision: false, context: denial.context } };
}

/** Section "Errors" of the evaluations: what keeps one of several from being decided is said in its place. */
function describe(decided: Decided): Evaluation {
  if (decided.kind === "decided") return decided.evaluation;
  const { problem, message } = decided;
  return { decision: false, context: { error: { status: problem.status, message } } };
}

function json(value: unknown, callId?: string): Answer {
  const headers = { "content-type": "application/json", ...(callId === undefined ? {} : { "writ-call-id": callId }) };
  return { status: 200, headers, body: JSON.stringify(value) };
}

/** The body as strict JSON, or the answer to one that is none. */
async function readJson(exchange: Exchange): Promise<{ readonly value: Parameters<typeof readQuestion>[0] } | Problem> {
  const mediaType = exchange.request.headers["content-type"] ?? "";
  if (!/^application\/json *(?:;|$)/i.test(mediaType)) return makeProblem("fault_media_type");
  const body = await exchange.readBody();
  if (body.kind === "fault") return makeProblem(body.reason);
  const parsed = parseStrictJson(body.bytes);
  if (parsed.kind === "fault") return makeProblem("fault_json", { data: { detail: parsed.detail } });
  return { value: parsed.value };
}

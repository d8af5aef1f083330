/**
 * Reads questions of the OpenID AuthZEN Authorization API 1.0 (subject, action, resource, context) as attempts of
 * agents. Every member of a question is either judged or refused: an answer that left a part of it out of account would
 * be taken for one about the whole. Decides nothing.
 *
 *     subject   {"type": "agent", "id": "<agent>"}
 *     action    {"name": "tool.call"}
 *     resource  {"type": "tool", "id": "<upstream>/<tool>"}     for other actions: see RESOURCES
 *               {"type": "http", "id": "<upstream>", "properties": {"method": "GET", "target": "/v1/items?page=2"}}
 *     context   {"arguments": {…}}
 */
import {
  type HttpResource,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  readHttpMethod,
  readHttpTarget,
  writeJson,
} from "@writ/contract";
import type { AgentAction, AgentCall } from "../../ports.ts";

/** Members of one `evaluations`. */
const EVALUATIONS_MAX = 20;
/** Characters of an id: of a subject, or of an upstream and what is on it. */
const ID_LENGTH_MAX = 4_096;

const QUESTION = ["subject", "action", "resource", "context"] as const;
const SEMANTICS = ["execute_all", "deny_on_first_deny", "permit_on_first_permit"] as const;
export type Semantics = (typeof SEMANTICS)[number];

type NamedType = "tool" | "resource" | "prompt";
type ResourceType = NamedType | "catalogue" | "session" | "http";
type AskedAction = Exclude<AgentAction, "token.attenuate">;

/** What each action is attempted on. The ids of catalogues and sessions are upstreams, the others upstream and name. */
const RESOURCES: Readonly<Record<AskedAction, readonly ResourceType[]>> = {
  "tool.call": ["tool"],
  "tool.list": ["catalogue"],
  "resource.read": ["resource"],
  "resource.list": ["catalogue"],
  "resource.subscribe": ["resource"],
  "prompt.get": ["prompt"],
  "prompt.list": ["catalogue"],
  completion: ["prompt", "resource"],
  "mcp.session": ["session"],
  "client.sample": ["session"],
  "client.elicit": ["session"],
  "client.roots": ["session"],
  "http.request": ["http"],
};

/** One attempt whose subject is named, and not yet the presenter's. */
export type Question = AgentCall & { readonly subject: string };

export type QuestionRead =
  | { readonly kind: "question"; readonly question: Question }
  | { readonly kind: "fault"; readonly detail: string };

export type EvaluationsRead =
  /** No `evaluations`: answered as a single question (section "Access Evaluations API Request"). */
  | { readonly kind: "single"; readonly read: QuestionRead }
  | { readonly kind: "several"; readonly semantics: Semantics; readonly reads: readonly QuestionRead[] }
  | { readonly kind: "fault"; readonly detail: string };

/** One question, or what is wrong with it. */
export function readQuestion(value: JsonValue): QuestionRead {
  if (!isJsonObject(value)) return fault("the question must be an object");
  const unknown = unknownMember(value, QUESTION);
  if (unknown !== undefined) return fault(`unknown member ${unknown}`);
  const subject = readEntity(value["subject"], "subject");
  if (typeof subject === "string") return fault(subject);
  if (subject.type !== "agent") return fault('subject.type must be "agent"');
  const action = readAction(value["action"]);
  if (action.kind === "fault") return action;
  const asksHttp = action.action === "http.request";
  const resource = readEntity(value["resource"], "resource", asksHttp ? ["properties"] : []);
  if (typeof resource === "string") return fault(resource);
  const types = RESOURCES[action.action];
  const type = types.find((known) => known === resource.type);
  if (type === undefined) return fault(`resource.type of ${action.action} must be ${types.join(" or ")}`);
  const context = readContext(value["context"]);
  if (context.kind === "fault") return context;
  const target = asksHttp ? readTarget(resource.properties) : undefined;
  if (typeof target === "string") return fault(target);
  const place = readPlace(type, resource.id);
  if (place === undefined) return fault(`resource.id of a ${type} must be <upstream>/<name>`);
  return {
    kind: "question",
    question: {
      protocol: "decision",
      action: action.action,
      subject: subject.id,
      ...place,
      ...(target === undefined ? {} : { target }),
      // A body that the question does not tell is one that nobody knows.
      ...(asksHttp && context.text === "" ? { argumentsUnseen: true } : {}),
      arguments: context.arguments,
      argumentsText: context.text,
      message: undefined,
      child: undefined,
      mcpSession: undefined,
    },
  };
}

/** Several questions with what they share, or a single one. */
export function readEvaluations(value: JsonValue): EvaluationsRead {
  if (!isJsonObject(value)) return fault("the body must be an object");
  const { evaluations, options, ...shared } = value;
  const semantics = readSemantics(options);
  if (typeof semantics !== "string") return semantics;
  const asked = evaluations ?? [];
  if (!Array.isArray(asked) || asked.length > EVALUATIONS_MAX) {
    return fault(`evaluations must be a list of at most ${EVALUATIONS_MAX}`);
  }
  const defaults: JsonObject = Object.assign(Object.create(null), shared); // the spread lost the missing prototype
  if (asked.length === 0) return { kind: "single", read: readQuestion(defaults) };
  const unknown = unknownMember(defaults, QUESTION);
  if (unknown !== undefined) return fault(`unknown member ${unknown}`);
  const reads = asked.map((member: JsonValue): QuestionRead => {
    if (!isJsonObject(member)) return fault("each of evaluations must be an object");
    return readQuestion(Object.assign(Object.create(null), defaults, member)); // likewise
  });
  return { kind: "several", semantics, reads };
}

function readSemantics(options: JsonValue | undefined): Semantics | ReturnType<typeof fault> {
  if (options === undefined) return "execute_all";
  if (!isJsonObject(options)) return fault("options must be an object");
  const unknown = unknownMember(options, ["evaluations_semantic"]);
  if (unknown !== undefined) return fault(`unknown member ${unknown} of options`);
  const wanted = options["evaluations_semantic"] ?? "execute_all";
  return SEMANTICS.find((known) => known === wanted) ?? fault(`evaluations_semantic must be ${SEMANTICS.join(", ")}`);
}

/** A type and an id, or what is wrong. */
function readEntity(
  value: JsonValue | undefined,
  name: "subject" | "resource",
  more: readonly "properties"[] = [],
): { readonly type: string; readonly id: string; readonly properties: JsonValue | undefined } | string {
  if (value === undefined || !isJsonObject(value)) return `${name} must be an object with type and id`;
  const unknown = unknownMember(value, ["type", "id", ...more]);
  if (unknown !== undefined) return `${name} has ${unknown}, which is not judged here`;
  const { type, id } = value;
  if (typeof type !== "string" || typeof id !== "string") return `${name} must have type and id, both text`;
  if (id === "" || id.length > ID_LENGTH_MAX) return `${name}.id must have 1 to ${ID_LENGTH_MAX} characters`;
  return { type, id, properties: value["properties"] };
}

/** Method and target of an HTTP request in their one spelling, or what is wrong with them. */
function readTarget(properties: JsonValue | undefined): HttpResource | string {
  if (properties === undefined || !isJsonObject(properties)) return "resource.properties must have method and target";
  const unknown = unknownMember(properties, ["method", "target"]);
  if (unknown !== undefined) return `resource.properties has ${unknown}, which is not judged here`;
  const method = readHttpMethod(typeof properties["method"] === "string" ? properties["method"] : "");
  if (method.kind === "fault") return method.detail;
  const target = readHttpTarget(typeof properties["target"] === "string" ? properties["target"] : "");
  return target.kind === "fault" ? target.detail : { method: method.method, ...target.target };
}

function readAction(
  value: JsonValue | undefined,
): { readonly kind: "action"; readonly action: AskedAction } | ReturnType<typeof fault> {
  if (value === undefined || !isJsonObject(value)) return fault("action must be an object with a name");
  const unknown = unknownMember(value, ["name"]);
  if (unknown !== undefined) return fault(`action has ${unknown}, which is not judged here`);
  const { name } = value;
  if (typeof name !== "string" || !isAsked(name)) {
    return fault(`action.name must be one of ${Object.keys(RESOURCES).join(", ")}`);
  }
  return { kind: "action", action: name };
}

function isAsked(name: string): name is AskedAction {
  return Object.hasOwn(RESOURCES, name);
}

function readContext(
  value: JsonValue | undefined,
): { readonly kind: "context"; readonly arguments: JsonObject; readonly text: string } | ReturnType<typeof fault> {
  const none = (): JsonObject => Object.create(null) as JsonObject; // as the strict reader makes them
  if (value === undefined) return { kind: "context", arguments: none(), text: "" };
  if (!isJsonObject(value)) return fault("context must be an object");
  const unknown = unknownMember(value, ["arguments"]);
  if (unknown !== undefined) return fault(`context has ${unknown}, which is not judged here`);
  const asked = value["arguments"];
  if (asked === undefined) return { kind: "context", arguments: none(), text: "" };
  if (!isJsonObject(asked)) return fault("context.arguments must be an object");
  return { kind: "context", arguments: asked, text: writeJson(asked) };
}

/** Where the attempt is made, by the resource's id; undefined when that names nothing. */
function readPlace(type: ResourceType, id: string): Pick<AgentCall, "upstream" | "tool" | "named"> | undefined {
  if (type === "catalogue" || type === "session" || type === "http") return { upstream: id, tool: "" };
  // Names of upstreams have no slash; tools, resources and prompts may.
  const slash = id.indexOf("/");
  if (slash < 1 || slash === id.length - 1) return undefined;
  const upstream = id.slice(0, slash);
  const name = id.slice(slash + 1);
  return type === "tool" ? { upstream, tool: name } : { upstream, tool: "", named: { kind: type, name } };
}

function unknownMember(value: JsonObject, known: readonly string[]): string | undefined {
  const name = Object.keys(value).find((member) => !known.includes(member));
  return name === undefined ? undefined : JSON.stringify(name.slice(0, 64));
}

function fault(detail: string): { readonly kind: "fault"; readonly detail: string } {
  return { kind: "fault", detail };
}

/**
 * The control plane's listener: serves the table of routes with limits, admin keys, schemas and problem documents, and
 * describes itself at /openapi.json. It decides nothing but who may call which route.
 */
import { STATUS_CODES } from "node:http";
import { Readable } from "node:stream";
import swagger from "@fastify/swagger";
import { parseStrictJson } from "@writ/contract";
import { ADMIN_PROBLEMS, type AdminProblem, type AdminProblemCode } from "@writ/contract/admin";
import { DatabaseError } from "@writ/db";
import { CONTROL_LIMITS, LISTENER_LIMITS, type Logger } from "@writ/runtime";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import Type from "typebox";
import type { Actor } from "../actor.ts";
import type { ServedRoute } from "../api/route.ts";
import { ROUTES } from "../api/routes.ts";
import * as schema from "../api/schemas.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { authenticate, authorize } from "./authenticate.ts";
import { createLazyValidators } from "./lazy-validators.ts";

export interface ControlServerOptions {
  /** Asked for with each request: a server is made, which takes a while, before there is a context for it to serve. */
  readonly context: () => ControlContext;
  readonly log: Logger;
  /** Host names that are served, without ports. Empty serves none but the probes. */
  readonly allowedHosts: readonly string[];
  /** Whether the plane can do its work now. */
  readonly ready: () => Promise<boolean>;
  readonly isDraining: () => boolean;
}

/** What authentication found, kept beside the request. */
const ACTORS = new WeakMap<FastifyRequest, Actor>();

const PROBES: readonly string[] = ["/healthz", "/readyz"];

export async function createServer(options: ControlServerOptions): Promise<FastifyInstance> {
  const { context, log } = options;
  const hosts = new Set(options.allowedHosts.map((host) => host.toLowerCase()));
  const server = Fastify({
    logger: false,
    bodyLimit: CONTROL_LIMITS.bodyBytesMax,
    requestTimeout: CONTROL_LIMITS.requestTimeoutMs,
    keepAliveTimeout: LISTENER_LIMITS.keepAliveTimeoutMs,
    connectionTimeout: 0,
    forceCloseConnections: "idle",
    trustProxy: false,
    genReqId: () => makeId(context()),
    requestIdHeader: false,
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, maxParamLength: 1_024 },
    http: { maxHeaderSize: LISTENER_LIMITS.headerBytesMax },
    // A target that cannot be decoded is answered like every other fault.
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply as FastifyReply, request.id, toProblem(error, log));
    },
  });
  server.server.maxConnections = CONTROL_LIMITS.connectionsMax;
  server.server.headersTimeout = LISTENER_LIMITS.headersTimeoutMs;
  server.setValidatorCompiler(createLazyValidators());
  // Answers are written as they are; the schemas of answers describe and do not strip.
  server.setSerializerCompiler(() => (data) => JSON.stringify(data));
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => {
    const read = parseStrictJson(body as Buffer); // parseAs: "buffer"
    if (read.kind === "fault") done(new Problem("fault_json", `The body is ${read.detail}.`));
    else if (holdsNul(read.value)) done(nulProblem());
    else done(null, read.value);
  });

  await server.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Writ admin API", version: "1", description: "The control plane of Writ." },
      components: { securitySchemes: { adminKey: { type: "http", scheme: "bearer", description: "`wadm_…`" } } },
      security: [{ adminKey: [] }],
    },
  });

  server.addHook("onRequest", async (request, reply) => {
    reply.header("cache-control", "no-store").header("x-content-type-options", "nosniff");
    const path = request.url.split("?")[0] ?? "";
    if (PROBES.includes(path)) return;
    const host = hostName(request.headers.host);
    if (host === undefined || !hosts.has(host)) {
      throw new Problem("fault_request", "The Host of the request is not one that this listener serves.");
    }
    if (options.isDraining()) throw new Problem("draining", "The control plane is stopping.");
    ACTORS.set(request, await authenticate(context(), request.headers.authorization));
  });
  server.setNotFoundHandler(async () => {
    throw new Problem("route_unknown", "There is no such route.");
  });
  server.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, log, request.id);
    sendProblem(reply, request.id, problem);
  });

  server.get("/healthz", { schema: { hide: true } }, async () => ({ status: "ok" }));
  server.get("/readyz", { schema: { hide: true } }, async (_request, reply) => {
    const ready = !options.isDraining() && (await options.ready());
    return reply.code(ready ? 200 : 503).send({ status: ready ? "ready" : "not_ready" });
  });
  server.get("/openapi.json", { schema: { hide: true } }, async () => server.swagger());
  for (const route of ROUTES) addRoute(server, context, route);
  await server.ready();
  return server;
}

function addRoute(server: FastifyInstance, context: () => ControlContext, served: ServedRoute): void {
  const { route, operation } = served;
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
  const parameters = Object.fromEntries(names.map((name) => [name, Type.String({ minLength: 1, maxLength: 512 })]));
  const answer =
    served.answer === "none"
      ? { 204: Type.Null({ description: "Done." }) }
      : served.answer === "ndjson"
        ? { 200: { description: "NDJSON.", content: { "application/x-ndjson": { schema: Type.String() } } } }
        : { [served.status]: { description: route.sentence, ...served.answer } };
  server.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ":$1"),
    schema: {
      operationId: operation,
      summary: route.sentence,
      description: `Permission \`${route.permission}\`; a key of ${route.scope === "instance" ? "the instance" : "the tenant or of the instance"}.`,
      tags: [operation.split(".")[0] ?? operation],
      ...(names.length === 0 ? {} : { params: Type.Object(parameters) }),
      querystring: served.query ?? Type.Object({}, { additionalProperties: false }),
      ...(served.body === undefined ? {} : { body: served.body }),
      response: { ...answer, default: { ...schema.problem, description: "A problem document (RFC 9457)." } },
    },
    handler: async (request, reply) => {
      const actor = ACTORS.get(request);
      if (actor === undefined) throw new Problem("admin_key_missing", "The request was not authenticated.");
      // The schemas above have checked all three.
      const params = (request.params ?? {}) as Record<string, string>;
      const input = { params, query: request.query, body: request.body } as Parameters<ServedRoute["handle"]>[1];
      // preValidation has resolved the tenant; see below.
      const tenantId = TENANTS.get(request) ?? "";
      const result = await served.handle({ control: context(), actor, tenantId }, input);
      if (served.answer === "ndjson") {
        reply.header("content-type", "application/x-ndjson");
        // An ndjson route's handler gives its lines.
        return reply.send(Readable.from(result as AsyncIterable<string>, { objectMode: false }));
      }
      if (served.status === 204) return reply.code(204).send();
      return reply.code(served.status).send(result);
    },
    // Before the input is looked at: a key that may not call a route learns nothing about what the route takes.
    preValidation: async (request) => {
      const actor = ACTORS.get(request);
      if (actor === undefined) throw new Problem("admin_key_missing", "The request was not authenticated.");
      const reference = (request.params as Record<string, string> | undefined)?.["tenant"];
      if (holdsNul(request.params) || holdsNul(request.query)) throw nulProblem();
      TENANTS.set(request, await authorize(context(), actor, route, reference));
    },
  });
}

/** No text of the database can hold U+0000, so none is let in. Depth is bounded by the strict reader. */
function holdsNul(value: unknown): boolean {
  if (typeof value === "string") return value.includes("\u0000");
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, member]) => name.includes("\u0000") || holdsNul(member));
}

function nulProblem(): Problem {
  return new Problem("fault_request", "No part of a request may hold the character U+0000.");
}

/** The tenant that each request was found to be about. */
const TENANTS = new WeakMap<FastifyRequest, string>();

function hostName(header: string | undefined): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:\s]+)(?::\d{1,5})?$/i.exec(header ?? "");
  return match?.[1]?.toLowerCase();
}

/** Every error becomes a problem here and nowhere else; what is not ours to explain is logged and not shown. */
function toProblem(error: unknown, log: Logger, requestId = ""): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof DatabaseError) {
    log.error({ err: error, sqlState: error.sqlState, requestId }, "the database failed a request");
    // Connection, resources, operator intervention, timeouts: the request may be sent again.
    if (/^(08|53|57|55P03|40|25P03)/.test(error.sqlState)) {
      return new Problem("database_unavailable", "The database does not answer; nothing is known to have been done.");
    }
    return new Problem("internal_error", "The control plane failed; the log has the reason under this request's id.");
  }
  const { code, statusCode, validation, message } = error as {
    // Fastify's errors carry these; any other error lacks them.
    readonly code?: string;
    readonly statusCode?: number;
    readonly validation?: readonly { readonly instancePath?: string; readonly message?: string }[];
    readonly message?: string;
  };
  if (validation !== undefined)
    return new Problem("fault_request", message ?? "The request is not of the right shape.");
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") return new Problem("fault_media_type", "Send application/json.");
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE" || statusCode === 413) {
    return new Problem("fault_too_large", `A body has at most ${CONTROL_LIMITS.bodyBytesMax} bytes.`);
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem("fault_request", message ?? STATUS_CODES[statusCode] ?? "The request cannot be read.");
  }
  log.error({ err: error, requestId }, "a request failed");
  return new Problem("internal_error", "The control plane failed; the log has the reason under this request's id.");
}

function sendProblem(reply: FastifyReply, requestId: string, problem: Problem): void {
  const code: AdminProblemCode = problem.code;
  const body: AdminProblem = {
    type: `urn:writ:problem:${code}`,
    title: ADMIN_PROBLEMS[code].title,
    status: problem.status,
    code,
    detail: problem.message,
    requestId,
    ...problem.extra,
  };
  if (problem.status === 401) reply.header("www-authenticate", 'Bearer realm="writ-admin"');
  void reply.code(problem.status).header("content-type", "application/problem+json").send(JSON.stringify(body)); // a reply is its own promise
}

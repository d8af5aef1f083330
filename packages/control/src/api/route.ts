/** How a route is written down: an operation of the contract with its schemas and its handler. Serving is server/'s. */
import {
  ADMIN_ROUTES,
  type AdminAnswer,
  type AdminOperation,
  type AdminOperations,
  type AdminRoute,
} from "@writ/contract/admin";
import type { TSchema } from "typebox";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";

export interface RouteContext {
  readonly control: ControlContext;
  readonly actor: Actor;
  /** The tenant of the path, resolved and permitted; the instance's on routes without one. */
  readonly tenantId: string;
}

type Member<K extends AdminOperation, M extends string> = AdminOperations[K] extends { readonly [P in M]: infer V }
  ? V
  : AdminOperations[K] extends { [P in M]: infer V }
    ? V
    : undefined;

export interface RouteInput<K extends AdminOperation> {
  readonly params: Member<K, "params"> extends undefined ? Record<never, string> : Member<K, "params">;
  /** As text, in the shape that the query's schema demands; nothing is coerced before a handler reads it. */
  readonly query: { readonly [P in keyof Member<K, "query">]?: string };
  readonly body: Member<K, "body">;
}

export interface RouteDefinition<K extends AdminOperation> {
  readonly query?: TSchema;
  readonly body?: TSchema;
  /** The answer's shape for the OpenAPI document; `none` is 204, `ndjson` a stream. */
  readonly answer: TSchema | "none" | "ndjson";
  readonly status?: 201;
  handle(context: RouteContext, input: RouteInput<K>): Promise<AdminAnswer<K> | AsyncIterable<string>>;
}

/** One row of the table that the server serves. */
export interface ServedRoute {
  readonly operation: AdminOperation;
  readonly route: AdminRoute;
  readonly query: TSchema | undefined;
  readonly body: TSchema | undefined;
  readonly answer: TSchema | "none" | "ndjson";
  readonly status: number;
  handle(context: RouteContext, input: RouteInput<AdminOperation>): Promise<unknown>;
}

export function defineRoute<K extends AdminOperation>(operation: K, definition: RouteDefinition<K>): ServedRoute {
  return {
    operation,
    route: ADMIN_ROUTES[operation],
    query: definition.query,
    body: definition.body,
    answer: definition.answer,
    status: definition.answer === "none" ? 204 : (definition.status ?? 200),
    // The server checks each input against the schemas beside it, which write down the contract's types.
    handle: (context, input) => definition.handle(context, input as unknown as RouteInput<K>),
  };
}

/**
 * A client of the admin API: every operation of the contract by its name, typed, over fetch. It retries nothing and
 * remembers nothing but the key. Not for agents: their tokens do not work there.
 */
import {
  ADMIN_ROUTES,
  type AdminAnswer,
  type AdminInput,
  type AdminOperation,
  type AdminRoute,
} from "@writ/contract/admin";
import { ProblemError } from "./problem-error.ts";

export interface AdminClientOptions {
  /** Base of the control plane, for example `http://127.0.0.1:8485`. */
  readonly url: string;
  /** `wadm_…`; sent in the Authorization header and nowhere else. */
  readonly key: string;
  readonly fetch?: typeof globalThis.fetch;
  /** 30 seconds when left out. Streams end with it as well. */
  readonly timeoutMs?: number;
}

export interface AdminCallOptions {
  readonly signal?: AbortSignal;
  /** Instead of the client's. */
  readonly timeoutMs?: number;
}

export interface AdminClient {
  /**
   * Calls one operation: `client.call("agents.get", { params: { tenant: "default", id } })`. Throws `ProblemError`
   * for every answer that is an error, and what fetch throws when there is no answer.
   */
  call<K extends AdminOperation>(
    operation: K,
    ...input: Record<never, never> extends AdminInput<K>
      ? [input?: AdminInput<K>, options?: AdminCallOptions]
      : [input: AdminInput<K>, options?: AdminCallOptions]
  ): Promise<AdminAnswer<K>>;
  /** Items of all pages, one after the other. */
  pages<K extends PagedOperation>(
    operation: K,
    input: AdminInput<K>,
    options?: AdminCallOptions,
  ): AsyncGenerator<PageItem<K>>;
}

/** Operations that answer with pages. */
export type PagedOperation = {
  [K in AdminOperation]: AdminAnswer<K> extends { readonly items: readonly unknown[] } ? K : never;
}[AdminOperation];
export type PageItem<K extends PagedOperation> =
  AdminAnswer<K> extends { readonly items: readonly (infer T)[] } ? T : never;

/** An answer that is larger than this is refused; streams are not bounded. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

interface LooseInput {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
}

export function createAdminClient(options: AdminClientOptions): AdminClient {
  const fetchWith = options.fetch ?? globalThis.fetch;
  const base = options.url.replace(/\/+$/, "");

  const send = async (operation: AdminOperation, input: LooseInput, call: AdminCallOptions): Promise<unknown> => {
    const route: AdminRoute = ADMIN_ROUTES[operation];
    const timeout = AbortSignal.timeout(call.timeoutMs ?? options.timeoutMs ?? 30_000);
    const response = await fetchWith(base + adminPath(route, input), {
      method: route.method,
      headers: {
        authorization: `Bearer ${options.key}`,
        accept: "application/json, application/x-ndjson, application/problem+json",
        ...(input.body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
      // A key must not follow a redirect to somebody else.
      redirect: "error",
      signal: call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]),
    });
    if (!response.ok) throw await ProblemError.from(response);
    if (response.status === 204) return null;
    if (response.headers.get("content-type")?.startsWith("application/x-ndjson")) return response.body;
    const length = Number(response.headers.get("content-length") ?? 0);
    if (length > ANSWER_BYTES_MAX) throw new TypeError(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`);
    return response.json();
  };

  return {
    // The contract ties each operation's input and answer together; past this line they are only JSON.
    call: ((operation: AdminOperation, input: LooseInput = {}, call: AdminCallOptions = {}) =>
      send(operation, input, call)) as AdminClient["call"],
    async *pages(operation, input, call = {}) {
      let query = (input as LooseInput).query ?? {}; // as above
      for (;;) {
        const page = (await send(operation, { ...(input as LooseInput), query }, call)) as {
          readonly items: readonly never[]; // as above
          readonly next?: string;
        };
        yield* page.items;
        if (page.next === undefined) return;
        query = { ...query, after: page.next };
      }
    },
  };
}

/** The path of a request with its parameters encoded, and its query. */
export function adminPath(route: AdminRoute, input: LooseInput): string {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => {
    const value = input.params?.[name];
    if (value === undefined || value === "") throw new TypeError(`the parameter ${name} of ${route.path} is missing`);
    return encodeURIComponent(value);
  });
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(input.query ?? {})) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query}`;
}

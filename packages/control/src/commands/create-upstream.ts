/** Registers an upstream. None of its tools can be called before they are pinned. */
import { compileHttpPattern, type HttpRoute, readHttpTarget, type UpstreamCredential } from "@writ/contract";
import type { UpstreamCreate, UpstreamView } from "@writ/contract/admin";
import { readStandings } from "@writ/history";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { makeUpstreamView } from "../queries/make-upstream-view.ts";
import { requireTransportAuthority } from "./require-transport-authority.ts";
import { storeTransport } from "./store-transport.ts";

export const UPSTREAM_DEFAULTS = { isolation: "principal", timeoutMs: 60_000, concurrencyMax: 64 } as const;

export function createUpstream(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  input: UpstreamCreate,
): Promise<UpstreamView> {
  requireTransportAuthority(actor, input.transport);
  checkTransport(input.transport);
  const id = makeId(context);
  const value = {
    name: input.name,
    transport: storeTransport(context, { tenantId, upstreamId: id }, input.transport, undefined),
    isolation: input.isolation ?? UPSTREAM_DEFAULTS.isolation,
    status: "active",
    timeoutMs: input.timeoutMs ?? UPSTREAM_DEFAULTS.timeoutMs,
    concurrencyMax: input.concurrencyMax ?? UPSTREAM_DEFAULTS.concurrencyMax,
  } as const;
  return context.store.command(actor, tenantId, async (transaction) => {
    const version = await transaction.put("upstream", id, value, 0);
    transaction.record("upstream.created", { version, upstreamId: id, upstream: value.name });
    return makeUpstreamView({ id, version, value }, 0, await readStandings(transaction));
  });
}

/**
 * Problem `fault_request` for a URL that cannot be one, or that would carry a credential into logs and lists, and for
 * routes that no request could be compared with.
 */
export function checkTransport(transport: UpstreamCreate["transport"]): void {
  if (transport.type === "stdio") return;
  const url = URL.canParse(transport.url) ? new URL(transport.url) : undefined;
  if (url === undefined) throw new Problem("fault_request", "transport.url is not a URL");
  if (url.username !== "" || url.password !== "" || url.hash !== "") {
    throw new Problem("fault_request", "transport.url must hold neither credentials nor a fragment");
  }
  if (transport.type === "http_api") checkRoutes(transport.routes, url);
  checkCredentials(transport.credentials ?? [], url);
}

/** Headers that Writ writes itself, or that say how a message is framed or where it goes. */
const OWN_HEADERS =
  /^(?:host|connection|keep-alive|content-.*|transfer-encoding|te|trailer|upgrade|expect|accept|accept-.*|user-agent|mcp-.*|proxy-.*|forwarded|x-forwarded-.*)$/;

function checkCredentials(credentials: readonly UpstreamCredential[], url: URL): void {
  const places = new Set<string>();
  for (const { in: where, name, prefix } of credentials) {
    const key = where === "header" ? `header ${name.toLowerCase()}` : `query ${name}`;
    if (places.has(key)) throw new Problem("fault_request", `transport.credentials has two values for the ${key}`);
    places.add(key);
    if (where === "header" && OWN_HEADERS.test(name.toLowerCase())) {
      throw new Problem(
        "fault_request",
        `transport.credentials may not set the header ${name}, which Writ writes itself`,
      );
    }
    if (where === "query" && (prefix !== undefined || url.searchParams.has(name))) {
      throw new Problem(
        "fault_request",
        `transport.credentials gives the parameter ${name} a prefix, or transport.url has it already`,
      );
    }
  }
}

/** The base path in its one spelling, and routes that requests can be compared with. */
function checkRoutes(routes: readonly HttpRoute[], url: URL): void {
  const base = readHttpTarget(url.pathname);
  if (url.search !== "" || base.kind === "fault" || base.target.path !== url.pathname) {
    throw new Problem(
      "fault_request",
      "transport.url must hold no query, and a path without dots and escapes it needs not",
    );
  }
  const seen = new Set<string>();
  for (const { match } of routes) {
    if (compileHttpPattern(match) === undefined) {
      throw new Problem(
        "fault_request",
        `transport.routes: ${JSON.stringify(match)} is none; write "GET,HEAD /v1/items/*"`,
      );
    }
    if (seen.has(match))
      throw new Problem("fault_request", `transport.routes: ${JSON.stringify(match)} is there twice`);
    seen.add(match);
  }
}

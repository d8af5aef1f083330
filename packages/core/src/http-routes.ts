/** The routes of an HTTP API: which one a request takes. What a route's kind means is the judge's business. */
import { compileHttpPattern, type HttpPattern, type HttpRoute, type StoredTransport } from "@writ/contract";

interface CompiledRoute {
  readonly route: HttpRoute;
  readonly pattern: HttpPattern;
}

/** By the list as authority holds it, which is replaced as a whole. */
const compiled = new WeakMap<readonly HttpRoute[], readonly CompiledRoute[]>();

/**
 * Whether a query sets a parameter by which the upstream gets its credential: which of two values counts is each server's
 * own affair. Compared as the most generous of them read names: in any case, escaped or not, with a bracket behind it.
 */
export function setsCredential(transport: StoredTransport, query: string): "sets" | "leaves" {
  if (query === "" || transport.type !== "http_api" || transport.credentials === undefined) return "leaves";
  const names = transport.credentials.filter((credential) => credential.in === "query").map(({ name }) => spell(name));
  if (names.length === 0) return "leaves";
  const parameters = query.split(/[&;]/).map((parameter) => spell(unescapeName(parameter.split("=")[0] ?? "")));
  return parameters.some((parameter) => names.includes(parameter)) ? "sets" : "leaves";
}

function unescapeName(text: string): string {
  // One byte a character: names of credentials are ASCII, and what is not cannot be one.
  return text
    .replaceAll("+", " ")
    .replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function spell(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/\[.*$/, "")
    .replaceAll(/[ ._-]/g, "_");
}

/** The first route that matches; undefined when there is none, or the upstream is no HTTP API. */
export function findHttpRoute(transport: StoredTransport, method: string, path: string): HttpRoute | undefined {
  if (transport.type !== "http_api") return undefined;
  let routes = compiled.get(transport.routes);
  if (routes === undefined) {
    routes = transport.routes.map((route) => {
      const pattern = compileHttpPattern(route.match);
      // Unknown means no: whoever judges turns the throw into a denial.
      if (pattern === undefined) throw new TypeError("a route is unreadable");
      return { route, pattern };
    });
    compiled.set(transport.routes, routes);
  }
  return routes.find(({ pattern }) => pattern.matches(method, path))?.route;
}

/** The routes of an HTTP API: which one a request takes. What a route's kind means is the judge's business. */
import { compileHttpPattern, type HttpPattern, type HttpRoute, type StoredTransport } from "@writ/contract";

interface CompiledRoute {
  readonly route: HttpRoute;
  readonly pattern: HttpPattern;
}

/** By the list as authority holds it, which is replaced as a whole. */
const compiled = new WeakMap<readonly HttpRoute[], readonly CompiledRoute[]>();

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

/**
 * Protected resource metadata (RFC 9728): where the challenges of an endpoint point, and what is found there. It says
 * nothing about whether an upstream exists, and asks for no credential.
 */
import type { Route } from "./data-listener.ts";

const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/** `path` is that of the endpoint, which has a route by `describeResource`. */
export function metadataUrlOf(publicUrl: string, path: string): string {
  return `${publicUrl}${WELL_KNOWN}${path}`;
}

/** The metadata of all endpoints that match `pattern`. */
export function describeResource(pattern: string, publicUrl: () => string): Route {
  return {
    method: "GET",
    pattern: `${WELL_KNOWN}${pattern}`,
    async handle(exchange) {
      // The route has matched it byte for byte.
      const path = (exchange.request.url ?? "").split("?")[0]?.slice(WELL_KNOWN.length) ?? "";
      const resource = `${publicUrl()}${path}`;
      const body = JSON.stringify({ resource, bearer_methods_supported: ["header"], resource_name: "Writ" });
      exchange.answer(200, { "content-type": "application/json" }, body);
    },
  };
}

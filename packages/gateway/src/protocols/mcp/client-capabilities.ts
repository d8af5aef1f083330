/**
 * What an agent can be asked for by an upstream, as far as Writ passes such requests on: sampling, elicitation and roots.
 * Spelt in one of few ways, because upstream sessions are told apart by it and agents could make up any number.
 */
import type { JsonObject } from "@writ/contract";
import { isObject } from "./decode.ts";

/** By capability, the members of it that upstreams are told of. */
const PASSED: Readonly<Record<string, readonly string[]>> = {
  sampling: ["tools"],
  elicitation: ["form", "url"],
  roots: [],
};

/** JSON text of the capabilities; undefined when there is none of them. */
export function askable(capabilities: JsonObject): string | undefined {
  const passed: string[] = [];
  for (const [name, flags] of Object.entries(PASSED)) {
    const own = capabilities[name];
    if (!isObject(own)) continue;
    passed.push(
      `"${name}":{${flags
        .filter((flag) => isObject(own[flag]))
        .map((flag) => `"${flag}":{}`)
        .join(",")}}`,
    );
  }
  return passed.length === 0 ? undefined : `{${passed.join(",")}}`;
}

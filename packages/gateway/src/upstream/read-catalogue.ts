/**
 * Reads all that an upstream lists as tools, over a session that is open. Definitions are cut from the received bytes
 * and not interpreted, but for their names. What is pinned and what has drifted is decided elsewhere.
 */
import { elementsOf, findMember, membersOf, valueText } from "../json-members.ts";
import { Failure } from "../ports.ts";
import type { UpstreamLimits } from "./limits.ts";
import type { UpstreamSession } from "./session.ts";

export interface Catalogue {
  readonly revision: string;
  /** JSON texts as the upstream gave them. */
  readonly serverInfo: string;
  readonly capabilities: string;
  /** JSON text of a string, or undefined. */
  readonly instructions: string | undefined;
  readonly tools: readonly CatalogueTool[];
}

export interface CatalogueTool {
  readonly name: string;
  /** The member of `tools`, byte for byte. */
  readonly definition: string;
}

/** Failure `upstream_unavailable` when the list cannot be read whole, or names a tool twice. */
export async function readCatalogue(
  session: UpstreamSession,
  limits: UpstreamLimits,
  options: { readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<Catalogue> {
  const tools = new Map<string, CatalogueTool>();
  let bytes = 0;
  let cursor: string | undefined;
  for (let page = 0; page < limits.cataloguePagesMax; page += 1) {
    const result = await readPage(session, cursor, options);
    const members = membersOf(result);
    const list = findMember(members, "tools");
    const listText = list === undefined ? "" : valueText(result, list);
    if (!listText.startsWith("[")) throw refuse("its list of tools is no list");
    for (const span of elementsOf(listText)) {
      const definition = listText.slice(span.start, span.end);
      const names = definition.startsWith("{") ? membersOf(definition).filter((member) => member.name === "name") : [];
      const [first] = names;
      const name: unknown = first === undefined ? undefined : JSON.parse(valueText(definition, first));
      if (names.length !== 1 || typeof name !== "string" || name === "") throw refuse("a tool has no name, or several");
      if (tools.has(name)) throw refuse("two tools have the same name");
      if (tools.size >= limits.catalogueToolsMax) throw refuse(`it lists more than ${limits.catalogueToolsMax} tools`);
      bytes += definition.length;
      if (bytes > limits.catalogueBytesMax)
        throw refuse(`it lists more than ${limits.catalogueBytesMax} bytes of tools`);
      tools.set(name, { name, definition });
    }
    const next = findMember(members, "nextCursor");
    const nextText = next === undefined ? "null" : valueText(result, next);
    if (nextText === "null") {
      return {
        revision: session.revision,
        serverInfo: session.serverInfo,
        capabilities: session.capabilities,
        instructions: session.instructions,
        tools: [...tools.values()],
      };
    }
    if (nextText === cursor) throw refuse("its pages do not end");
    cursor = nextText;
  }
  throw refuse(`its list has more than ${limits.cataloguePagesMax} pages`);
}

async function readPage(
  session: UpstreamSession,
  cursor: string | undefined,
  options: { readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<string> {
  let answer: { readonly member: "result" | "error"; readonly json: string } | undefined;
  const outcome = await session.send(
    { method: "tools/list", params: cursor === undefined ? "{}" : `{"cursor":${cursor}}`, progress: false, name: "" },
    {
      notification: () => undefined,
      response(member, json) {
        answer = { member, json };
      },
    },
    options,
  );
  if (answer?.member === "result") return answer.json;
  throw refuse(outcome.kind === "completed" ? "it answered with an error" : outcome.detail);
}

function refuse(detail: string): Failure {
  return new Failure("upstream_unavailable", `the upstream's tools cannot be read: ${detail}`);
}

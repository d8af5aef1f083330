/**
 * What somebody may not know of is answered like what is not there, at every door that answers about names: status,
 * headers and body are the same but for the name that was asked about, the call's id and the date. Whole answers are
 * compared, so that a member that only one of them has is a difference, too.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyRules, eventually, type Posted, postMcp, type Rig, RULES, startRig, TENANT } from "./rig.ts";

const RESOURCES = `  - id: resources
    effect: allow
    match: { action: [resource.read, resource.list, prompt.get, prompt.list], resource: ["up/open-*"] }
  - id: no-resources
    effect: deny
    match: { action: [resource.read, prompt.get], resource: ["up/denied-*"] }
`;

let rig: Rig;
let agentId: string;
let pointKey: string;

beforeAll(async () => {
  rig = await startRig();
  const { admin, upstream } = rig;
  const params = { tenant: TENANT };
  agentId = (await admin.call("agents.get", { params: { tenant: TENANT, id: "assistant" } })).id;
  // No rule speaks of it.
  await rig.addUpstream("dark", upstream.url);
  await rig.addUpstream("off", upstream.url);
  const { id, version } = await admin.call("upstreams.get", { params: { tenant: TENANT, id: "off" } });
  await admin.call("upstreams.update", { params: { tenant: TENANT, id }, body: { version, status: "suspended" } });
  const routes = [{ match: "* /**", kind: "capability" }] as const;
  const api = { type: "http_api", url: upstream.url, routes } as const;
  await admin.call("upstreams.create", { params, body: { name: "api", transport: api } });
  const { id: other } = await admin.call("tenants.create", { body: { name: "other" } });
  await rig.addUpstream("theirs", upstream.url, { tenant: other });
  await admin.call("kill.engage", {
    params: { tenant: TENANT, scope: "tool", scopeId: "dark/add" },
    body: { reason: "drill" },
  });
  const point = await admin.call("enforcement-points.create", {
    params,
    body: {
      name: "point",
      agents: ["assistant"],
      actions: ["tool.call", "resource.read", "prompt.get", "mcp.session", "http.request"],
      upstreams: ["*"],
    },
  });
  pointKey = point.key;
  await applyRules(admin, TENANT, RULES + RESOURCES);
});
afterAll(async () => {
  await rig?.close();
});

interface Named {
  readonly upstream: string;
  readonly name: string;
}

const CLIENT = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** What each kind is called in MCP, how its names stand on the endpoint of all upstreams, and what AuthZEN asks of it. */
const KINDS = {
  tool: { method: "tools/call", member: "name", all: "__", action: "tool.call" },
  resource: { method: "resources/read", member: "uri", all: "+", action: "resource.read" },
  prompt: { method: "prompts/get", member: "name", all: "__", action: "prompt.get" },
} as const;
type Kind = keyof typeof KINDS;

function asked(path: string, bearer: string, body: unknown): Promise<Posted> {
  return postMcp(`${rig.writ.gatewayUrl}${path}`, bearer, { body: JSON.stringify(body) });
}

function mcpCall(path: string, bearer: string, kind: Kind, name: string): Promise<Posted> {
  const { method, member } = KINDS[kind];
  const params = { [member]: name, ...(kind === "tool" ? { arguments: { a: 1 } } : {}), _meta: CLIENT };
  return postMcp(`${rig.writ.gatewayUrl}${path}`, bearer, {
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    headers: { "mcp-protocol-version": "2026-07-28", "mcp-method": method, "mcp-name": name },
  });
}

function question(kind: Kind, { upstream, name }: Named): Readonly<Record<string, unknown>> {
  return {
    subject: { type: "agent", id: agentId },
    action: { name: KINDS[kind].action },
    resource: { type: kind, id: `${upstream}/${name}` },
    ...(kind === "tool" ? { context: { arguments: { a: 1 } } } : {}),
  };
}

type Door = (bearer: string, kind: Kind, named: Named) => Promise<Posted>;

/** Each answers about one name. */
const DOORS: Readonly<Record<string, Door>> = {
  "the upstream's own endpoint": (bearer, kind, { upstream, name }) => mcpCall(`/mcp/${upstream}`, bearer, kind, name),
  "the endpoint of all upstreams": (bearer, kind, { upstream, name }) =>
    mcpCall("/mcp", bearer, kind, `${upstream}${KINDS[kind].all}${name}`),
  "a preview": (bearer, kind, named) => asked("/v1/preview", bearer, question(kind, named)),
  "an evaluation": (bearer, kind, named) => asked("/access/v1/evaluation", bearer, question(kind, named)),
  "one of several evaluations": (bearer, kind, named) =>
    asked("/access/v1/evaluations", bearer, { evaluations: [question(kind, named)] }),
  "an enforcement point's preview": (_bearer, kind, named) => asked("/v1/preview", pointKey, question(kind, named)),
  "an enforcement point's evaluation": (_bearer, kind, named) =>
    asked("/access/v1/evaluation", pointKey, question(kind, named)),
};

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Everything of an answer, as it would be for another name. */
function whole({ status, headers, text }: Posted, ...names: readonly string[]): string {
  const kept = [...headers].filter(([header]) => header !== "date");
  let said = JSON.stringify({ status, headers: kept, text }).replaceAll(UUID, "ID");
  for (const name of names) said = said.replaceAll(name, "NAME");
  return said.replace(/"content-length","\d+"/, '"content-length","N"');
}

/** What each of these is told, in one text each; the first is the one that does not exist. */
async function differing(door: Door, kind: Kind, all: readonly (readonly [string, Named, string])[]): Promise<unknown> {
  const told: Record<string, string> = {};
  for (const [what, named, bearer] of all) {
    const { upstream, name } = named;
    told[what] = whole(
      await door(bearer, kind, named),
      `${upstream}${KINDS[kind].all}${name}`,
      `${upstream}/${name}`,
      name,
    );
  }
  const [missing = ""] = Object.values(told);
  expect(missing).toMatch(/unknown|not found/i);
  return Object.fromEntries(Object.entries(told).filter(([, text]) => text !== missing));
}

describe.each(Object.entries(DOORS))("R-HIDDEN-1 trap-18 at %s", (at, door) => {
  const takesTokens = !at.startsWith("an enforcement point");

  test("a hidden tool is answered as one that is missing, whatever hides it", async () => {
    const open = await rig.mint();
    const narrow = await rig.mint([{ tools: ["up/add"] }]);
    const without = await rig.mint([{ not_tools: ["up/echo"] }]);
    const on = (upstream: string, name: string): Named => ({ upstream, name });
    expect(
      await differing(door, "tool", [
        ["missing", on("up", "nothing"), open],
        ["missing, of a narrow token", on("up", "nothing"), narrow],
        ["with a name that no caveat can speak of", on("up", "no/thing"), narrow],
        ["hidden by a rule", on("up", "die"), open],
        ["hidden by no rule", on("dark", "echo"), open],
        ["hidden and killed", on("dark", "add"), open],
        ["of no upstream", on("nowhere", "echo"), open],
        ["of a suspended upstream", on("off", "echo"), open],
        ["of another tenant's upstream", on("theirs", "echo"), open],
        ["of an HTTP API", on("api", "echo"), open],
        ...(takesTokens
          ? ([
              ["not listed in the token", on("up", "echo"), narrow],
              ["excluded by the token", on("up", "echo"), without],
            ] as const)
          : []),
      ]),
    ).toEqual({});
  });

  test.each(["resource", "prompt"] as const)("a hidden %s is answered the same, whatever hides it", async (kind) => {
    const open = await rig.mint();
    expect(
      await differing(door, kind, [
        ["of which no rule speaks", { upstream: "up", name: "other:x" }, open],
        ["that a rule denies", { upstream: "up", name: "denied-x" }, open],
        ["of an upstream of which no rule speaks", { upstream: "dark", name: "open-x" }, open],
      ]),
    ).toEqual({});
    expect(
      await differing(door, kind, [
        ["of no upstream", { upstream: "nowhere", name: "open-x" }, open],
        ["of a suspended upstream", { upstream: "off", name: "open-x" }, open],
        ["of another tenant's upstream", { upstream: "theirs", name: "open-x" }, open],
        ["of an HTTP API", { upstream: "api", name: "open-x" }, open],
      ]),
    ).toEqual({});
  });
});

describe("R-HIDDEN-1 trap-18 an upstream that nobody can reach", () => {
  const UPSTREAMS = ["nowhere", "off", "theirs"];

  test("is answered as one that is missing, by each protocol and as each question", async () => {
    const open = await rig.mint();
    const about = (action: string, type: string, upstream: string, properties?: object) => ({
      subject: { type: "agent", id: agentId },
      action: { name: action },
      resource: { type, id: upstream, ...(properties === undefined ? {} : { properties }) },
    });
    const get = (path: string): Promise<Posted> =>
      fetch(`${rig.writ.gatewayUrl}${path}`, { headers: { authorization: `Bearer ${open}` } }).then(
        async (response) => ({ status: response.status, headers: response.headers, text: await response.text() }),
      );
    const list = (upstream: string): Promise<Posted> =>
      postMcp(`${rig.writ.gatewayUrl}/mcp/${upstream}`, open, {
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: { _meta: CLIENT } }),
        headers: { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" },
      });
    const session = (upstream: string): Promise<Posted> =>
      asked(`/mcp/${upstream}`, open, {
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x", version: "1" } },
      });
    const target = { method: "GET", target: "/x" };
    const ways: readonly (readonly [(upstream: string) => Promise<Posted>, readonly string[]])[] = [
      [list, [...UPSTREAMS, "api"]],
      [session, [...UPSTREAMS, "api"]],
      [(name) => get(`/http/${name}/x`), [...UPSTREAMS, "dark"]],
      [(name) => get(`/.well-known/oauth-protected-resource/mcp/${name}`), [...UPSTREAMS, "dark", "api"]],
      [(name) => asked("/v1/preview", open, about("mcp.session", "session", name)), [...UPSTREAMS, "api"]],
      [(name) => asked("/access/v1/evaluation", open, about("mcp.session", "session", name)), [...UPSTREAMS, "api"]],
      [(name) => asked("/v1/preview", open, about("http.request", "http", name, target)), [...UPSTREAMS, "dark"]],
      [(name) => asked("/access/v1/evaluation", pointKey, about("mcp.session", "session", name)), UPSTREAMS],
    ];
    for (const [ask, names] of ways) {
      const told = new Set<string>();
      for (const name of names) told.add(whole(await ask(name), `/${name}`, name));
      expect([...told]).toHaveLength(1);
    }
  });
});

describe("R-HIDDEN-1 trap-18 denials that are too many", () => {
  test.each([
    ["tools", "tool", ["nothing", "die"]],
    ["resources", "resource", ["other:x", "denied-x"]],
  ] as const)("of hidden %s are counted together, so that the count tells no two apart", async (_what, kind, names) => {
    const [first, second] = names;
    const { token } = await rig.admin.call("tokens.mint", { params: { tenant: TENANT }, body: { agent: "assistant" } });
    const ask = (upstream: string, name: string) =>
      mcpCall("/mcp", token, kind, `${upstream}${KINDS[kind].all}${name}`);
    await eventually("the denials are too many", async () =>
      (await ask("up", first)).status === 429 ? true : undefined,
    );
    expect((await ask("up", second)).status).toBe(429);
    expect((await ask("nowhere", first)).status).toBe(429);
  });
});

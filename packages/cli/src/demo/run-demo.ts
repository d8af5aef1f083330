/**
 * The demo: starts Writ on a fresh directory with the reference MCP server behind it and shows, by real calls over
 * HTTP, what is allowed, what is denied and why, what is hidden, what a budget, a child token and a revocation do, and
 * that a log which was edited behind Writ's back does not verify. Leaves nothing behind.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "@writ/sdk/admin";
import { attenuateToken } from "@writ/token";
import type { CliContext } from "../cli-context.ts";
import { createGatewayClient, type GatewayAnswer } from "../gateway-client.ts";
import { tokenHash } from "../token-text.ts";
import { VERSION } from "../version.ts";
import { type DemoServer, startDemoServer } from "./demo-server.ts";
import { createNarrator, type Narrator } from "./narrator.ts";

const TENANT = "default";
const UPSTREAM = "everything";
const BUDGET = 100;

/** Resolves to whether everything went as it was told. */
export async function runDemo(context: CliContext, options: { readonly keep: boolean }): Promise<boolean> {
  const tell = createNarrator(context);
  const directory = await mkdtemp(join(tmpdir(), "writ-demo-"));
  let server: DemoServer | undefined;
  try {
    await context.out(
      `Writ ${VERSION}: a gateway, a control plane, an embedded database and a real MCP server, in ${directory}.\n`,
    );
    server = await startDemoServer(directory, context.environment);
    await context.out(`The gateway is ${server.gatewayUrl}, the control plane ${server.adminUrl}.\n`);
    const firstCall = await showDecisions(tell, server);
    await showHidden(tell, server);
    await showBudget(tell, server);
    await showDelegation(tell, server);
    await tell.chapter("The log proves itself: an entry is edited behind Writ's back", [
      "Every call above is on record, linked to the one before by a hash that anyone can recompute.",
    ]);
    const sequence = await showIntact(tell, server, firstCall);
    await server.stop();
    server = undefined;
    await editEntry(directory, sequence);
    await tell.did(
      `UPDATE audit_event SET event = … WHERE sequence = ${sequence}   (Writ is stopped; as the database's owner)`,
    );
    server = await startDemoServer(directory, context.environment);
    await showDamage(tell, server, sequence);
  } finally {
    await server?.stop();
    if (options.keep) context.note(`The directory ${directory} is kept.\n`);
    else await rm(directory, { recursive: true, force: true });
  }
  const failures = tell.failures();
  await context.out(
    failures.length === 0
      ? `\nAll ${tell.expectations()} expectations held. Start your own with: npm start\n`
      : `\n${failures.length} of ${tell.expectations()} expectations did not hold.\n`,
  );
  return failures.length === 0;
}

function agent(server: DemoServer, token: string) {
  const client = createGatewayClient({ url: server.gatewayUrl, token, clientName: "writ-demo" });
  return (tool: string, args: object): Promise<GatewayAnswer> =>
    client.callTool({ upstream: UPSTREAM, tool, argumentsText: JSON.stringify(args) });
}

function admin(server: DemoServer): AdminClient {
  return createAdminClient({ url: server.adminUrl, key: server.adminKey });
}

/** Allowed, denied by a caveat, denied by a rule. Resolves to the id of the first call. */
async function showDecisions(tell: Narrator, server: DemoServer): Promise<string> {
  const call = agent(server, server.starterToken);
  await tell.chapter("A call that token, rules and budget permit");
  await tell.did(`everything/echo {"message":"hello"}`);
  const allowed = await call("echo", { message: "hello" });
  await tell.expect("allowed: the MCP server answered", allowed.kind === "result", textOf(allowed));

  await tell.chapter("Denied by the token", [
    `The token has the caveat {"args":{"everything/get-sum":{"/a":{"max":100}}}}.`,
  ]);
  await tell.did(`everything/get-sum {"a":100,"b":1}`);
  const within = await call("get-sum", { a: 100, b: 1 });
  await tell.expect("allowed: 100 is within the caveat", within.kind === "result", textOf(within));
  await tell.did(`everything/get-sum {"a":101,"b":1}`);
  await expectReason(tell, await call("get-sum", { a: 101, b: 1 }), "caveat_args");

  await tell.chapter("Denied by a rule", [`The rule no-secrets-in-echo: /message: { prefix: secret }.`]);
  await tell.did(`everything/echo {"message":"secret plan"}`);
  await expectReason(tell, await call("echo", { message: "secret plan" }), "policy_denied");
  return allowed.callId ?? "";
}

/** A tool that no rule allows is answered like one that does not exist. */
async function showHidden(tell: Narrator, server: DemoServer): Promise<void> {
  const call = agent(server, server.starterToken);
  await tell.chapter("A hidden tool looks like no tool", [
    "The server has get-env, which shows its environment. No rule allows it, so it does not exist for this agent.",
  ]);
  const tools = await admin(server).call("upstreams.tools", { params: { tenant: TENANT, id: UPSTREAM }, query: {} });
  const exists = tools.items.some(({ name }) => name === "get-env");
  await tell.expect("the administrator sees everything/get-env among the pinned tools", exists);
  const list = await createGatewayClient({
    url: server.gatewayUrl,
    token: server.starterToken,
    clientName: "writ-demo",
  }).listTools(UPSTREAM);
  const listed = list.kind === "result" ? list.result.map(({ name }) => String(name)) : [];
  await tell.expect(
    `the agent's list has ${listed.length} tools, and get-env is not among them`,
    listed.length > 0 && !listed.includes("get-env"),
  );
  await tell.did("everything/get-env {}   and   everything/no-such-tool {}");
  const hidden = await call("get-env", {});
  const unknown = await call("no-such-tool", {});
  const seen = (answer: GatewayAnswer, name: string): string =>
    answer.kind === "result" ? "a result" : JSON.stringify(answer.refusal).replaceAll(name, "…");
  await tell.expect(
    "both get the same answer, but for the name",
    hidden.kind === "refused" && seen(hidden, "get-env") === seen(unknown, "no-such-tool"),
    hidden.kind === "refused" ? `${hidden.refusal.code} ${hidden.refusal.message}` : "a result",
  );
}

async function showBudget(tell: Narrator, server: DemoServer): Promise<void> {
  await tell.chapter(`The ${BUDGET + 1}st call of a budget of ${BUDGET}`);
  // A month, so that next to nobody runs this while the window turns.
  const budget = { calls: { limit: BUDGET, window: "month" } };
  await tell.did(`writ token mint assistant --tools everything/echo --caveat '${JSON.stringify(budget)}'`);
  const { token } = await mint(server, [{ tools: ["everything/echo"] }, budget]);
  const call = agent(server, token);
  let allowed = 0;
  for (let number = 1; number <= BUDGET; number += 1) {
    if ((await call("echo", { message: `call ${number}` })).kind === "result") allowed += 1;
    tell.progress(`${number} of ${BUDGET} calls`);
  }
  tell.progress("\r");
  await tell.expect(`${BUDGET} calls are allowed`, allowed === BUDGET, `${allowed}`);
  const last = await call("echo", { message: "one more" });
  await expectReason(tell, last, "budget_exhausted");
  if (last.kind === "refused") {
    const { remaining, resetsAt } = last.refusal.data;
    await tell.expect(
      "the answer says what remains and when it resets",
      remaining === 0 && typeof resetsAt === "string",
      JSON.stringify({ remaining, resetsAt }),
    );
  }
}

async function showDelegation(tell: Narrator, server: DemoServer): Promise<void> {
  await tell.chapter("A child token, made offline, then revoked", [
    "Whoever holds a token can make a weaker one without asking anybody.",
  ]);
  const { token: parent, node: parentNode } = await mint(server, [{ tools: ["everything/*"] }]);
  await tell.did("writ token attenuate --tools everything/echo");
  const attenuate = (text: string) =>
    attenuateToken(tokenHash, text, {
      id: randomBytes(16).toString("hex"),
      caveats: [JSON.stringify({ tools: ["everything/echo"] })],
    });
  const made = attenuate(parent);
  const other = attenuate(parent);
  if (made.kind !== "attenuated" || other.kind !== "attenuated") throw new TypeError("the caveat is a plain one");
  const asParent = agent(server, parent);
  const asChild = agent(server, made.token);
  const asOther = agent(server, other.token);
  const echo = { message: "hello" };
  await tell.expect("the child may echo", (await asChild("echo", echo)).kind === "result");
  const sum = await asChild("get-sum", { a: 1, b: 1 });
  await tell.expect(
    "the child may not add, though its parent may",
    sum.kind === "refused" && (await asParent("get-sum", { a: 1, b: 1 })).kind === "result",
  );

  await tell.did(`writ token revoke ${made.node.slice(0, 8)}…   (the child alone)`);
  await revoke(server, made.node);
  await expectReason(tell, await asChild("echo", echo), "token_revoked", "the child is refused");
  await tell.expect(
    "its parent and its sibling go on",
    (await asParent("echo", echo)).kind === "result" && (await asOther("echo", echo)).kind === "result",
  );

  await tell.did(`writ token revoke ${parentNode.slice(0, 8)}…   (the parent)`);
  await revoke(server, parentNode);
  await expectReason(tell, await asParent("echo", echo), "token_revoked", "the parent is refused");
  await expectReason(tell, await asOther("echo", echo), "token_revoked", "and all below it: the sibling too");
}

/** Verifies the log and finds the entry of the first call. */
async function showIntact(tell: Narrator, server: DemoServer, callId: string): Promise<number> {
  const client = admin(server);
  await tell.did("writ audit verify --full");
  const intact = await client.call("audit.verify", { params: { tenant: TENANT }, query: { full: true } });
  await tell.expect("the log is intact", intact.status === "intact", `${intact.size} entries`);
  const page = await client.call("audit.events", {
    params: { tenant: TENANT },
    query: { callId, event: "call.decided" },
  });
  const sequence = page.items[0]?.sequence ?? 0;
  await tell.expect("the first call of this demo is in it", sequence > 0, `entry ${sequence}`);
  return sequence;
}

/** What somebody with the database in hand would do: the allowed call becomes another's. */
async function editEntry(directory: string, sequence: number): Promise<void> {
  const { openDatabases } = await import("@writ/server");
  const databases = await openDatabases({ url: undefined, dataDir: `${directory}/data` });
  try {
    const owner = databases.owner();
    await owner.query(
      `UPDATE audit_event SET event = replace(event, '"tool":"echo"', '"tool":"get-env"')
        WHERE sequence = $1 AND event LIKE '%"call.decided"%'`,
      [sequence],
    );
  } finally {
    await databases.close();
  }
}

async function showDamage(tell: Narrator, server: DemoServer, sequence: number): Promise<void> {
  await tell.did("writ audit verify --full");
  const damaged = await admin(server).call("audit.verify", { params: { tenant: TENANT }, query: { full: true } });
  await tell.expect("the log is damaged", damaged.status === "damaged");
  const { damage } = damaged;
  await tell.expect(
    `and the entry is named: ${sequence}`,
    damage?.sequence === sequence && damage.kind === "mutated",
    damage === undefined ? "nothing" : `${damage.kind} at entry ${damage.sequence}: ${damage.detail}`,
  );
}

async function mint(
  server: DemoServer,
  caveats: readonly Readonly<Record<string, unknown>>[],
): Promise<{ readonly token: string; readonly node: string }> {
  return admin(server).call("tokens.mint", {
    params: { tenant: TENANT },
    body: { agent: "assistant", caveats, expiresInSeconds: 600, label: "demo" },
  });
}

async function revoke(server: DemoServer, node: string): Promise<void> {
  await admin(server).call("nodes.revoke", { params: { tenant: TENANT, node }, body: { reason: "demo" } });
}

async function expectReason(tell: Narrator, answer: GatewayAnswer, reason: string, sentence?: string): Promise<void> {
  const refusal = answer.kind === "refused" ? answer.refusal : undefined;
  await tell.expect(
    `${sentence ?? "denied"}: ${reason}`,
    refusal?.reason === reason,
    refusal === undefined ? "it was allowed" : `${refusal.code ?? `HTTP ${refusal.status}`} ${refusal.message}`,
  );
}

/** The first text of a tool's result, for showing. */
function textOf(answer: GatewayAnswer): string {
  if (answer.kind === "refused") return answer.refusal.message;
  // An upstream's own shape: only a text is taken out of it.
  const { content } = answer.result as { readonly content?: readonly { readonly text?: unknown }[] };
  const text = content?.[0]?.text;
  return typeof text === "string" ? text : "";
}

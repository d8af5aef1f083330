/**
 * `writ import`: from files of MCP clients to upstreams under observation, an agent with a token, and the clients' files
 * leading to Writ. Everything is read and planned before anything is made; an upstream whose tools cannot be read is
 * taken away again, and its entry stays as it was.
 */
import { homedir } from "node:os";
import { resolve } from "node:path";
import type { AgentView, UpstreamView } from "@writ/contract/admin";
import { type AdminSession, dataDirectory, readUrl } from "../admin-session.ts";
import { exists, loadServerConfig } from "../config.ts";
import { shellWord } from "../connect-agent.ts";
import { EXIT, refused } from "../exit-codes.ts";
import { explainError } from "../explain-error.ts";
import { readSecretFile, readSecretIfThere, readTextFile, replaceFile, writeSecretFile } from "../files.ts";
import { formatTable, formatTime, printable } from "../format-table.ts";
import { DEFAULT_GATEWAY_URL } from "../gateway-client.ts";
import { nodeOfToken } from "../token-text.ts";
import { chooseUpstream, type Importable, type KnownUpstream, secretsOf } from "./choose-upstream.ts";
import { changedPart, type ImportedEntry, rewriteClientFile, type TokenPlace } from "./client-config.ts";
import { type ClientEntry, type ClientFile, type ClientKind, readClientFile } from "./client-file.ts";
import { readCredential, removeFiles, type WrittenCredentials, writeCredentials } from "./credential-files.ts";
import { type PlannedCredential, planEntry } from "./plan-entry.ts";

export interface ImportOptions {
  readonly client?: ClientKind;
  readonly agent?: string;
  readonly principal?: string;
  /** Seconds; false: none. */
  readonly observe: number | false;
  readonly inputFrom?: Readonly<Record<string, string>>;
  readonly credentialsDir?: string;
  readonly gatewayUrl?: string;
  readonly tokenFile?: string;
  readonly tokenInFile?: boolean;
  readonly expiresIn?: number;
  readonly write?: boolean;
  readonly dryRun?: boolean;
}

/** What became of one entry. */
interface Outcome {
  readonly file: string;
  readonly entry: string;
  /** new and there: it leads to Writ. planned: it would. */
  readonly state: "new" | "there" | "planned" | "skipped" | "failed" | "writ";
  readonly upstream?: string;
  readonly tools?: number;
  readonly held?: number;
  readonly observedUntilMs?: number;
  readonly notes: readonly string[];
}

interface Planned {
  readonly file: ClientFile;
  readonly entry: ClientEntry;
  readonly plan: Importable;
  readonly upstream: string;
  readonly isNew: boolean;
}

/** Of a token that is used again: how long it must last yet. */
const TOKEN_LASTS_SECONDS = 86_400;
const TOKEN_SECONDS_MAX = 90 * 86_400;
const PIN_TIMEOUT_MS = 120_000;

export async function runImport(
  session: AdminSession,
  paths: readonly string[],
  options: ImportOptions,
): Promise<number> {
  const { context } = session;
  if (options.tokenInFile === true && options.write !== true && options.dryRun !== true) {
    throw refused("--token-in-file would print the token: add --write.");
  }
  const gatewayUrl = readUrl(
    options.gatewayUrl ?? context.environment["WRIT_GATEWAY_URL"] ?? DEFAULT_GATEWAY_URL,
    "--gateway-url",
  );
  const files = await readFiles(session, paths, options);
  const foundDir = findCredentialsDir(session, options);
  // Where there is none nothing can be compared, and only what has credentials of its own needs one.
  const readableDir = await foundDir.catch(() => undefined);
  const { planned, outcomes } = await planAll(session, files, { ...options, gatewayUrl, readableDir });
  const needsFiles = planned.some(({ plan, isNew }) => isNew && plan.credentials.length > 0);
  const credentialsDir = needsFiles ? await foundDir : undefined;
  const agentName = options.agent ?? files[0]?.client ?? "";
  if (options.dryRun === true) {
    const all = [...outcomes, ...planned.map((each) => outcomeOf(each, "planned", {}))];
    await show(session, { outcomes: all, configs: [], agent: agentName, tokenFile: undefined, isDry: true });
    return exitCode(all);
  }
  if (planned.length === 0) {
    await show(session, { outcomes, configs: [], agent: agentName, tokenFile: undefined, isDry: false });
    return exitCode(outcomes);
  }
  const agent = await findAgent(session, agentName, options.principal);
  const carried: Planned[] = [];
  const failed = new Set<string>();
  for (const each of planned) {
    const outcome = failed.has(each.upstream)
      ? outcomeOf(each, "failed", { notes: ["it leads to the same as the one above"] })
      : each.isNew
        ? await makeUpstream(session, each, { credentialsDir, observe: options.observe })
        : outcomeOf(each, "there", {});
    if (outcome.state === "failed") failed.add(each.upstream);
    if (outcome.state !== "failed") carried.push(each);
    outcomes.push(outcome);
  }
  const tokenFile = carried.length === 0 ? undefined : await findToken(session, agent, options);
  const configs: ConfigShown[] = [];
  for (const file of files) {
    const entries = carried
      .filter((each) => each.file === file)
      .map(({ entry, upstream }): ImportedEntry => ({ entry, url: `${gatewayUrl}/mcp/${upstream}` }));
    if (entries.length > 0 && tokenFile !== undefined) {
      configs.push(await makeConfig(session, file, entries, tokenFile, options));
    }
  }
  await show(session, { outcomes, configs, agent: agent.name, tokenFile, isDry: false });
  return exitCode(outcomes);
}

function exitCode(outcomes: readonly Outcome[]): number {
  return outcomes.some(({ state }) => state === "skipped" || state === "failed") ? EXIT.no : EXIT.ok;
}

// --- reading and planning ---------------------------------------------------------------------------------------

async function readFiles(
  { context }: AdminSession,
  paths: readonly string[],
  { client }: ImportOptions,
): Promise<readonly ClientFile[]> {
  const home = homeOf(context.environment);
  const files: ClientFile[] = [];
  for (const path of new Set(paths.map((each) => resolve(context.directory, each)))) {
    const text = await readTextFile(context, path, "client's file");
    files.push(readClientFile({ path, text }, { client, home }));
  }
  return files;
}

function homeOf(environment: AdminSession["context"]["environment"]): string {
  return environment["HOME"] ?? homedir();
}

async function planAll(
  session: AdminSession,
  files: readonly ClientFile[],
  options: ImportOptions & { readonly gatewayUrl: string; readonly readableDir: string | undefined },
): Promise<{ readonly planned: readonly Planned[]; readonly outcomes: Outcome[] }> {
  const { client, context, tenant } = session;
  const inputs: Record<string, string> = {};
  for (const [id, path] of Object.entries(options.inputFrom ?? {})) {
    inputs[id] = await readSecretFile(context, path, `file of the input ${id}`);
  }
  const known = new Map<string, KnownUpstream>();
  for await (const { name, transport } of client.pages("upstreams.list", { params: { tenant }, query: {} })) {
    known.set(name, { name, transport, secrets: await readSecrets(transport, options.readableDir) });
  }
  const planned: Planned[] = [];
  const outcomes: Outcome[] = [];
  const { environment } = context;
  for (const file of files) {
    for (const entry of file.entries) {
      const say = (state: Outcome["state"], why: string): void => {
        outcomes.push({ file: file.path, entry: entry.name, state, notes: [why] });
      };
      if (leadsToWrit(entry, options.gatewayUrl)) {
        say("writ", "it leads to Writ already");
        continue;
      }
      const plan = planEntry(entry, { client: file.client, environment, home: homeOf(environment), inputs });
      if (plan.kind === "skip") {
        say("skipped", plan.why);
        continue;
      }
      const choice = chooseUpstream(entry.name, plan, known);
      if (choice === undefined) {
        say("skipped", "too many upstreams have its name");
        continue;
      }
      if (choice.kind === "unseen") {
        const url = `${options.gatewayUrl}/mcp/${choice.name}`;
        say(
          "skipped",
          `${choice.name} is there, and whether its secrets are the same cannot be seen from here: if it is the same server let the entry lead to ${url}, if not give the entry another name`,
        );
        continue;
      }
      if (choice.kind === "there") {
        planned.push({ file, entry, plan, upstream: choice.name, isNew: false });
        continue;
      }
      // An entry after it that leads to the same finds it there.
      known.set(choice.name, { name: choice.name, transport: withPlaces(plan), secrets: secretsOf(plan) });
      planned.push({ file, entry, plan: withNote(plan, choice), upstream: choice.name, isNew: true });
    }
  }
  return { planned, outcomes };
}

function withNote(plan: Importable, { name, unlike }: { readonly name: string; readonly unlike?: string }): Importable {
  if (unlike === undefined) return plan;
  const note = `${unlike} leads to the same with other secrets, so this is ${name}; if they are the new ones of ${unlike}, change them there and remove ${name}`;
  return { ...plan, notes: [...plan.notes, note] };
}

/** What is in the credential files of an upstream that is there, if they can be read here; an environment never can. */
async function readSecrets(
  transport: KnownUpstream["transport"],
  directory: string | undefined,
): Promise<string | undefined> {
  if (transport.type !== "http") return undefined;
  const credentials: PlannedCredential[] = [];
  for (const { file, ...place } of transport.credentials ?? []) {
    const value = directory === undefined ? undefined : await readCredential(directory, file);
    if (value === undefined) return undefined;
    credentials.push({ ...place, value });
  }
  return secretsOf({ transport: { type: "http", url: transport.url }, credentials });
}

/** As the admin API will show it. */
function withPlaces({ transport, credentials }: Importable): KnownUpstream["transport"] {
  if (transport.type === "stdio" || credentials.length === 0) return transport;
  return { ...transport, credentials: credentials.map(({ value: _value, ...each }) => ({ ...each, file: "" })) };
}

function leadsToWrit({ value }: ClientEntry, gatewayUrl: string): boolean {
  const { url, args } = value;
  const base = `${gatewayUrl}/mcp`;
  const isOurs = (each: unknown): boolean => typeof each === "string" && (each === base || each.startsWith(`${base}/`));
  return isOurs(url) || (Array.isArray(args) && args.some(isOurs));
}

async function findCredentialsDir(session: AdminSession, { credentialsDir }: ImportOptions): Promise<string> {
  const { context } = session;
  if (credentialsDir !== undefined) return resolve(context.directory, credentialsDir);
  const config = await loadServerConfig(context, {});
  const found = config.upstreams.credentialsDir;
  // Where nobody named one it is the gateway that makes it: it is not there where no gateway has started.
  if (found !== undefined && (config.sources.has("upstreams.credentialsDir") || (await exists(found)))) return found;
  throw refused(
    "Headers of http servers go into files that the gateway reads. Run this where the gateway was started (WRIT_DATA_DIR names its data directory), or name its upstreams.credentialsDir with --credentials-dir.",
  );
}

// --- making -----------------------------------------------------------------------------------------------------

function outcomeOf(
  { file, entry, upstream, plan }: Planned,
  state: Outcome["state"],
  more: Partial<Pick<Outcome, "tools" | "held" | "observedUntilMs" | "notes">>,
): Outcome {
  return {
    file: file.path,
    entry: entry.name,
    state,
    upstream,
    ...more,
    notes: [...plan.notes, ...(more.notes ?? [])],
  };
}

async function makeUpstream(
  session: AdminSession,
  planned: Planned,
  { credentialsDir, observe }: { readonly credentialsDir: string | undefined; readonly observe: number | false },
): Promise<Outcome> {
  const { client, context, tenant } = session;
  const { upstream: name, plan } = planned;
  let files: WrittenCredentials = { bindings: [], made: [] };
  let view: UpstreamView | undefined;
  try {
    if (plan.credentials.length > 0 && credentialsDir !== undefined) {
      files = await writeCredentials(credentialsDir, name, plan.credentials);
    }
    const transport =
      plan.transport.type === "http" && files.bindings.length > 0
        ? { ...plan.transport, credentials: files.bindings }
        : plan.transport;
    context.note(`Registering ${name}, and waiting for a gateway to read its tools…\n`);
    view = await client.call("upstreams.create", { params: { tenant }, body: { name, transport } });
    const params = { tenant, id: view.id };
    const pinned = await client.call("upstreams.pin", { params }, { timeoutMs: PIN_TIMEOUT_MS });
    const held = pinned.tools.filter(({ change }) => change === "held").length;
    const observed =
      observe === false ? undefined : await client.call("observe.start", { params, body: { seconds: observe } });
    return outcomeOf(planned, "new", {
      tools: pinned.tools.length - held,
      held,
      ...(observed === undefined ? {} : { observedUntilMs: observed.untilMs }),
      notes: held === 0 ? [] : [`${held} tools are held: look at them with writ upstream review ${name}`],
    });
  } catch (error) {
    // A failure of one upstream is told of it, and nothing of it stays; a second failure, in doing so, is told instead.
    if (view !== undefined) await removeUpstream(session, view.id);
    await removeFiles(files.made);
    return outcomeOf(planned, "failed", { notes: [explainError(error).message] });
  }
}

async function removeUpstream({ client, tenant }: AdminSession, id: string): Promise<void> {
  const params = { tenant, id };
  const { version } = await client.call("upstreams.get", { params });
  await client.call("upstreams.remove", { params, query: { version } });
}

async function findAgent(session: AdminSession, name: string, principal: string | undefined): Promise<AgentView> {
  const { client, context, tenant } = session;
  for await (const agent of client.pages("agents.list", { params: { tenant }, query: {} })) {
    if (agent.name === name || agent.id === name) return agent;
  }
  const of = principal ?? (await onlyPrincipal(session));
  const agent = await client.call("agents.create", { params: { tenant }, body: { name, principal: of } });
  context.note(`Registered the agent ${agent.name} (${agent.id}).\n`);
  return agent;
}

/** The one that a new agent acts for when none is named. */
async function onlyPrincipal({ client, tenant }: AdminSession): Promise<string> {
  const ids: string[] = [];
  for await (const { id, status } of client.pages("principals.list", { params: { tenant }, query: {} })) {
    if (status === "active") ids.push(id);
  }
  const [id] = ids;
  if (id !== undefined && ids.length === 1) return id;
  throw refused(
    "Say for whom the agent acts: name the principal with --principal, or an agent that exists with --agent.",
  );
}

/** The file with the agent's token: the one that is there if it lasts, or one that is minted now. */
async function findToken(session: AdminSession, agent: AgentView, options: ImportOptions): Promise<string> {
  const { client, context, tenant } = session;
  const path = resolve(context.directory, options.tokenFile ?? `${dataDirectory(context)}/tokens/${agent.id}`);
  const there = await readSecretIfThere(context, path, "token file");
  if (there !== undefined && (await lasts(session, there, agent))) return path;
  const { tokenLifetimeMaxSeconds } = await client.call("tenants.get", { params: { tenant } });
  const seconds = options.expiresIn ?? Math.min(tokenLifetimeMaxSeconds, TOKEN_SECONDS_MAX);
  const minted = await client.call("tokens.mint", {
    params: { tenant },
    body: { agent: agent.id, label: "writ import", expiresInSeconds: seconds },
  });
  const file = await writeSecretFile(context, path, minted.token);
  context.note(`Minted a token into ${file} (mode 0600); it expires ${formatTime(minted.expiresAtMs)}.\n`);
  return file;
}

async function lasts({ client, context, tenant }: AdminSession, token: string, agent: AgentView): Promise<boolean> {
  const { root, revoked } = await client.call("nodes.get", { params: { tenant, node: nodeOfToken(token) } });
  const untilMs = revoked === undefined && root?.agentId === agent.id ? root.expiresAtMs : 0;
  return untilMs > context.nowMs() + TOKEN_LASTS_SECONDS * 1000;
}

// --- the clients' files -----------------------------------------------------------------------------------------

interface ConfigShown {
  readonly file: string;
  readonly client: ClientKind;
  /** What changes; without the token. */
  readonly config: object;
  /** Of a file that was replaced: what it was before. */
  readonly backup?: string;
  /** Whether the token itself stands in the file. */
  readonly hasToken: boolean;
}

async function makeConfig(
  { context }: AdminSession,
  file: ClientFile,
  entries: readonly ImportedEntry[],
  tokenFile: string,
  options: ImportOptions,
): Promise<ConfigShown> {
  const shown = { file: file.path, client: file.client, config: changedPart(file, entries, { kind: "asked" }) };
  if (options.write !== true) return { ...shown, hasToken: false };
  // It starts commands with what stands in its file, and asks nobody.
  const isWritten = options.tokenInFile === true || file.client === "claude-desktop";
  const place: TokenPlace = isWritten
    ? { kind: "written", token: await readSecretFile(context, tokenFile, "token file") }
    : { kind: "asked" };
  const text = rewriteClientFile(file, entries, place);
  const backup = await replaceFile(file.path, { before: file.text, text, isSecret: isWritten });
  return { ...shown, backup, hasToken: isWritten };
}

// --- what is said -----------------------------------------------------------------------------------------------

interface Shown {
  readonly outcomes: readonly Outcome[];
  readonly configs: readonly ConfigShown[];
  readonly agent: string;
  readonly tokenFile: string | undefined;
  readonly isDry: boolean;
}

async function show(session: AdminSession, shown: Shown): Promise<void> {
  const { outcomes, configs, agent, tokenFile, isDry } = shown;
  const value = { agent, ...(tokenFile === undefined ? {} : { tokenFile }), entries: outcomes, files: configs };
  await session.show(value, () => {
    const table = formatTable(outcomes, [
      { title: "ENTRY", value: ({ entry }) => entry },
      { title: "STATE", value: ({ state }) => STATES[state] },
      { title: "UPSTREAM", value: ({ upstream }) => upstream },
      { title: "TOOLS", value: ({ tools }) => tools, align: "right" },
      { title: "OBSERVED UNTIL", value: ({ observedUntilMs }) => formatTime(observedUntilMs) },
    ]);
    const notes = outcomes.flatMap(({ entry, notes: said }) => said.map((note) => `${entry}: ${note}\n`));
    const isObserved = outcomes.some(({ observedUntilMs }) => observedUntilMs !== undefined);
    return [
      table,
      ...notes.map(printableLine),
      isDry ? "\nNothing was changed.\n" : "",
      ...configs.map(formatConfig),
      ...new Set(configs.filter(({ hasToken }) => !hasToken).map(({ client }) => howToAsk(client, tokenFile ?? ""))),
      isObserved ? "\nWhat the policy would deny is allowed and recorded; see it with: writ observe report\n" : "",
    ].join("");
  });
}

const STATES: Readonly<Record<Outcome["state"], string>> = {
  new: "imported",
  there: "is there already",
  planned: "would be imported",
  skipped: "not imported",
  failed: "failed",
  writ: "leads to Writ",
};

/** How the client comes by the token where it does not stand in its file. */
function howToAsk(client: ClientKind, tokenFile: string): string {
  switch (client) {
    case "claude-desktop":
      return `\nIn place of TOKEN put what is in ${printable(tokenFile)}; --write does it.\n`;
    case "vscode":
      return `\nVS Code asks for the token once: it is in ${printable(tokenFile)}.\n`;
    default:
      return `\nStart the client where the token is set:  export WRIT_TOKEN="$(cat ${shellWord(tokenFile)})"\n`;
  }
}

function printableLine(line: string): string {
  return line.split("\n").map(printable).join("\n");
}

function formatConfig({ file, config, backup }: ConfigShown): string {
  if (backup !== undefined) return `\nWrote ${printable(file)}; as it was it is in ${printable(backup)}.\n`;
  return `\n# In ${printable(file)}, in place of what stands there (or add --write):\n${JSON.stringify(config, undefined, 2)}\n`;
}

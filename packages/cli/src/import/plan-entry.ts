/**
 * What one server of a client's file becomes: an upstream's transport and the secrets that go with it, or why it cannot
 * be carried over. Pure: what the client would look up is given. Nothing of a value is in what it says.
 */
import { isAbsolute, resolve } from "node:path";
import type { UpstreamCredential, UpstreamTransport } from "@writ/contract";
import { type ClientEntry, type ClientKind, isRecord } from "./client-file.ts";

export interface PlanContext {
  readonly client: ClientKind;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string | undefined;
  /** Values for VS Code's `${input:…}`, by their ids. */
  readonly inputs: Readonly<Record<string, string>>;
}

/** A credential whose file is not named yet. */
export interface PlannedCredential extends Omit<UpstreamCredential, "file"> {
  readonly value: string;
}

export type EntryPlan =
  | {
      readonly kind: "import";
      /** Of an http transport without its credentials. */
      readonly transport: Exclude<UpstreamTransport, { readonly type: "http_api" }>;
      readonly credentials: readonly PlannedCredential[];
      /** What is carried over otherwise than it was. */
      readonly notes: readonly string[];
    }
  | { readonly kind: "skip"; readonly why: string };

/** What an upstream's transport is made of, and so goes when the entry leads to Writ. The rest is the client's own. */
export const TRANSPORT_MEMBERS: ReadonlySet<string> = new Set([
  "type",
  "command",
  "args",
  "env",
  "cwd",
  "url",
  "headers",
]);
/** Ways to sign in, or to fetch values, that only the client itself knows. */
const NOT_CARRIED = ["headersHelper", "oauth", "auth", "envFile"];

/** The values that the gateway takes from a credential file. */
const CREDENTIAL_VALUE =
  /^[\x21\x23\x24\x26-\x5b\x5d-\x7e](?:[\x20\x21\x23\x24\x26-\x5b\x5d-\x7e]{0,8190}[\x21\x23\x24\x26-\x5b\x5d-\x7e])$/;
const CREDENTIAL_LENGTH_MIN = 8;
const CREDENTIALS_MAX = 8;
const CREDENTIAL_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const SCHEME = /^(?:Bearer|Basic|Token|ApiKey|Api-Key) +/i;
/** Headers that say how messages are framed or written, which Writ says itself. */
const WRITS_OWN = /^(?:accept|accept-.*|content-.*|user-agent|mcp-.*|connection|host)$/i;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const SECRET_NAME = /(?:key|token|secret|passw|auth|credential|sig(?:nature)?$)/i;

/** Ends the plan of an entry: it is not carried over. */
class Skip extends Error {}

export function planEntry(entry: ClientEntry, context: PlanContext): EntryPlan {
  try {
    const member = NOT_CARRIED.find((name) => entry.value[name] !== undefined);
    if (member !== undefined) throw new Skip(`its ${member} is the client's own and cannot be carried over`);
    if (entry.value["disabled"] === true) throw new Skip("it is disabled");
    const { command, url, type } = entry.value;
    if (typeof command === "string" && (type === undefined || type === "stdio")) return planStdio(entry, context);
    if (typeof url === "string" && command === undefined && type !== "stdio" && type !== "ws") {
      return planHttp(entry, context);
    }
    throw new Skip("it has neither a command nor a URL that Writ could reach");
  } catch (error) {
    // What cannot be carried over is an answer about this entry; every other error is a failure of ours.
    if (error instanceof Skip) return { kind: "skip", why: error.message };
    throw error;
  }
}

function planStdio(entry: ClientEntry, context: PlanContext): EntryPlan {
  const { value, project } = entry;
  const whole = (text: unknown, what: string): Expanded => {
    const expanded = expand(text, what, entry, context);
    if (expanded.text.includes("\0")) throw new Skip(`its ${what} holds a NUL, which no program is started with`);
    return expanded;
  };
  const plain = (text: unknown, what: string): string => plainText(whole(text, what), what);
  const command = plain(value["command"], "command");
  if (command.trim() === "") throw new Skip("its command is empty: name the program that starts the server");
  const given = value["args"] ?? [];
  if (!Array.isArray(given)) throw new Skip("its args are no list");
  const args = given.map((each: unknown, index) => plain(each, `args[${index}]`));
  const env: Record<string, string> = {};
  if (value["env"] !== undefined && !isRecord(value["env"])) throw new Skip("its env is no object");
  for (const [name, each] of Object.entries(isRecord(value["env"]) ? value["env"] : {})) {
    if (each === null) continue;
    if (!ENV_NAME.test(name)) throw new Skip(`its env has ${JSON.stringify(name)}, which is no name of a variable`);
    env[name] = whole(typeof each === "number" || typeof each === "boolean" ? String(each) : each, `env.${name}`).text;
  }
  const directory = value["cwd"] === undefined ? project : resolve(project ?? "/", plain(value["cwd"], "cwd"));
  if (directory !== undefined && !isAbsolute(directory)) throw new Skip("its cwd is no absolute path");
  const looksSecret = args.some(
    (arg, index) =>
      SECRET_NAME.test(arg) && (arg.includes("=") || (args[index + 1]?.length ?? 0) >= CREDENTIAL_LENGTH_MIN),
  );
  return {
    kind: "import",
    transport: {
      type: "stdio",
      command,
      args,
      env,
      ...(directory === undefined ? {} : { cwd: directory }),
    },
    credentials: [],
    notes: looksSecret
      ? ["an argument may hold a secret: administrators are shown arguments, so hand it over in its environment"]
      : [],
  };
}

function planHttp(entry: ClientEntry, context: PlanContext): EntryPlan {
  const { value } = entry;
  const credentials: PlannedCredential[] = [];
  const notes: string[] = [];
  const expanded = expand(value["url"], "url", entry, context);
  const url = URL.canParse(expanded.text) ? new URL(expanded.text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new Skip("its url is no http URL");
  if (url.username !== "" || url.password !== "") throw new Skip("its url carries a name and password: use a header");
  const secrets = [...url.searchParams].filter(([name]) => expanded.isSecret || SECRET_NAME.test(name));
  for (const [name, each] of secrets) {
    credentials.push(readCredential({ in: "query", name, value: each }));
    url.searchParams.delete(name);
  }
  if (expanded.isSecret && secrets.length === 0) throw new Skip("its url takes a value that Writ would show");
  if (value["headers"] !== undefined && !isRecord(value["headers"])) throw new Skip("its headers are no object");
  for (const [name, each] of Object.entries(isRecord(value["headers"]) ? value["headers"] : {})) {
    if (WRITS_OWN.test(name)) {
      notes.push(`its header ${name} is left out: Writ writes that itself`);
      continue;
    }
    const { text } = expand(each, `headers.${name}`, entry, context);
    const prefix = SCHEME.exec(text)?.[0];
    credentials.push(
      readCredential({
        in: "header",
        name,
        value: text.slice(prefix?.length ?? 0),
        ...(prefix === undefined ? {} : { prefix: `${prefix.trimEnd()} ` }),
      }),
    );
  }
  if (credentials.length > CREDENTIALS_MAX) throw new Skip(`it has more than ${CREDENTIALS_MAX} headers and secrets`);
  url.hash = "";
  return { kind: "import", transport: { type: "http", url: url.href }, credentials, notes };
}

function readCredential(credential: PlannedCredential): PlannedCredential {
  const { in: where, name, value } = credential;
  const what = where === "header" ? `header ${name}` : `parameter ${name} of its url`;
  if (!CREDENTIAL_NAME.test(name)) throw new Skip(`the ${what} has a name that cannot be sent`);
  if (value.length < CREDENTIAL_LENGTH_MIN || !CREDENTIAL_VALUE.test(value)) {
    throw new Skip(
      `the ${what} is none that a credential file can hold: 8 to 8192 printable characters without quotes, percent signs and backslashes`,
    );
  }
  return credential;
}

interface Expanded {
  readonly text: string;
  /** A value from outside the file is in it. */
  readonly isSecret: boolean;
}

function plainText({ text, isSecret }: Expanded, what: string): string {
  if (isSecret) {
    throw new Skip(
      `its ${what} takes a value from outside, and would show it to every administrator: hand it over in its environment`,
    );
  }
  return text;
}

/** The text with what the client would put in; ends the plan for what cannot be found. */
function expand(given: unknown, what: string, { project }: ClientEntry, context: PlanContext): Expanded {
  if (typeof given !== "string") throw new Skip(`its ${what} is no text`);
  if (context.client === "claude-desktop") return { text: given, isSecret: false };
  let isSecret = false;
  const text = given.replaceAll(/\$\{([^{}]*)\}/g, (_whole, name: string) => {
    const found = lookUp(name, project, context);
    if (found.kind === "missing") throw new Skip(`its ${what} needs \${${name}}, which ${found.help}`);
    isSecret ||= found.kind === "value";
    return found.text;
  });
  return { text, isSecret };
}

type Found =
  /** place: where something lies; no secret. */
  { readonly kind: "place" | "value"; readonly text: string } | { readonly kind: "missing"; readonly help: string };

function lookUp(name: string, project: string | undefined, { client, environment, home, inputs }: PlanContext): Found {
  const place = (text: string | undefined, help: string): Found =>
    text === undefined ? { kind: "missing", help } : { kind: "place", text };
  const fromEnvironment = (variable: string, fallback?: string): Found => {
    const text = environment[variable] || fallback;
    return text === undefined ? { kind: "missing", help: "is not set here" } : { kind: "value", text };
  };
  if (client === "claude-code") {
    if (name === "CLAUDE_PROJECT_DIR") return place(project, "a file of the whole user does not have");
    const [variable = "", ...rest] = name.split(":-");
    if (variable === "HOME") return place(home, "is not set here");
    return fromEnvironment(variable, rest.length === 0 ? undefined : rest.join(":-"));
  }
  switch (name) {
    case "workspaceFolder":
      return place(project, "a file of the whole user does not have");
    case "userHome":
      return place(home, "is not set here");
    case "pathSeparator":
    case "/":
      return place("/", "");
  }
  if (name.startsWith("env:")) return fromEnvironment(name.slice("env:".length));
  if (client === "vscode" && name.startsWith("input:")) {
    const id = name.slice("input:".length);
    const text = Object.hasOwn(inputs, id) ? inputs[id] : undefined;
    return text === undefined
      ? { kind: "missing", help: `the client asks its user for: put it into a file and add --input-from ${id}=FILE` }
      : { kind: "value", text };
  }
  return { kind: "missing", help: "only the client knows" };
}

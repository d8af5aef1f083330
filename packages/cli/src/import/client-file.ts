/**
 * Configuration files of MCP clients: which client a file is of, which servers it names, and where in its text. Reads
 * them as their clients do; what becomes of a server is plan-entry.ts's to say.
 */
import { basename, dirname } from "node:path";
import { type JSONPath, type ParseError, parse, printParseErrorCode } from "jsonc-parser";
import { refused } from "../exit-codes.ts";

export const CLIENTS = ["claude-code", "claude-desktop", "cursor", "vscode"] as const;
export type ClientKind = (typeof CLIENTS)[number];

/** One server as a client's file names it. */
export interface ClientEntry {
  readonly name: string;
  /** Where it stands in the file. */
  readonly path: JSONPath;
  /** The directory of the project that it belongs to; absent for one of the whole user. */
  readonly project?: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface ClientFile {
  /** Absolute. */
  readonly path: string;
  readonly client: ClientKind;
  readonly text: string;
  readonly entries: readonly ClientEntry[];
}

/** Servers of one file. */
const ENTRIES_MAX = 200;
const BYTE_ORDER_MARK = "\ufeff";

/** Whether a client takes comments and trailing commas in its file. */
const WITH_COMMENTS: Readonly<Record<ClientKind, boolean>> = {
  "claude-code": false,
  "claude-desktop": false,
  cursor: true,
  vscode: true,
};

/** Which client a file is of, by where it lies; undefined when that does not say. */
function clientOfPath(path: string): ClientKind | undefined {
  const name = basename(path);
  const directory = basename(dirname(path));
  if (name === "claude_desktop_config.json") return "claude-desktop";
  if (name === ".mcp.json" || name === ".claude.json") return "claude-code";
  if (name === "mcp.json" && directory === ".cursor") return "cursor";
  if (name === "mcp.json" && (directory === ".vscode" || directory === "User")) return "vscode";
  return undefined;
}

/** Refuses, with the place, a file that its client could not read, and one that names no servers. */
export function readClientFile(
  { path, text }: { readonly path: string; readonly text: string },
  options: { readonly client: ClientKind | undefined; readonly home: string | undefined },
): ClientFile {
  const client = options.client ?? clientOfPath(path);
  if (client === undefined) {
    throw refused(`${path} does not say whose file it is: name the client with --client ${CLIENTS.join(", ")}.`);
  }
  const root = readJson(path, text, client);
  const project = projectOf(path, client, options.home);
  const member = client === "vscode" ? "servers" : "mcpServers";
  const entries = readServers(path, root, [member], project);
  if (client === "claude-code" && isRecord(root["projects"])) {
    for (const [directory, each] of Object.entries(root["projects"])) {
      if (isRecord(each)) entries.push(...readServers(path, each, ["projects", directory, member], directory));
    }
  }
  if (entries.length === 0) throw refused(`${path} names no servers: there is nothing in its ${member}.`);
  if (entries.length > ENTRIES_MAX) throw refused(`${path} names more than ${ENTRIES_MAX} servers.`);
  return { path, client, text, entries };
}

function readJson(path: string, text: string, client: ClientKind): Readonly<Record<string, unknown>> {
  const withComments = WITH_COMMENTS[client];
  const errors: ParseError[] = [];
  // A mark at the beginning is no part of the text, and keeps its place: offsets count it.
  const plain = text.startsWith(BYTE_ORDER_MARK) ? ` ${text.slice(1)}` : text;
  const root: unknown = parse(plain, errors, { disallowComments: !withComments, allowTrailingComma: withComments });
  const first = errors[0];
  if (first !== undefined) {
    const before = plain.slice(0, first.offset).split("\n");
    const place = `${path}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
    const kind = withComments ? "JSON with comments" : "JSON";
    throw refused(`${place}: this is not ${kind} (${printParseErrorCode(first.error)}). Mend it, and import it again.`);
  }
  if (!isRecord(root)) throw refused(`${path} does not hold a JSON object.`);
  return root;
}

function readServers(
  path: string,
  holder: Readonly<Record<string, unknown>>,
  at: readonly string[],
  project: string | undefined,
): ClientEntry[] {
  const member = at.at(-1) ?? "";
  const servers = holder[member];
  if (servers === undefined) return [];
  if (!isRecord(servers)) throw refused(`${path}: ${at.join(".")} must be an object with a server in each member.`);
  return Object.entries(servers).map(([name, value]) => {
    if (!isRecord(value)) throw refused(`${path}: ${[...at, name].join(".")} must be an object.`);
    return { name, path: [...at, name], value, ...(project === undefined ? {} : { project }) };
  });
}

/** The directory in which a client starts the servers of a project's file. */
function projectOf(path: string, client: ClientKind, home: string | undefined): string | undefined {
  const directory = dirname(path);
  switch (client) {
    case "claude-desktop":
      return undefined;
    case "claude-code":
      return basename(path) === ".claude.json" ? undefined : directory;
    default: {
      const name = basename(directory);
      if (name !== ".cursor" && name !== ".vscode") return undefined;
      return dirname(directory) === home ? undefined : dirname(directory);
    }
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

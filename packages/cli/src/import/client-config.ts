/** The same client's file, leading to Writ: only the entries that were imported change, and comments stay. */
import { applyEdits, type JSONPath, modify, parse } from "jsonc-parser";
import { type ClientEntry, type ClientFile, type ClientKind, isRecord } from "./client-file.ts";
import { TRANSPORT_MEMBERS } from "./plan-entry.ts";

/** How a client gets the token: from its environment or its user, or written into its file. */
export type TokenPlace = { readonly kind: "asked" } | { readonly kind: "written"; readonly token: string };

export interface ImportedEntry {
  readonly entry: ClientEntry;
  /** Of its upstream at the gateway. */
  readonly url: string;
}

/** VS Code asks its user for the token, once. */
const INPUT_ID = "writ-token";

/** Of each client, where the token comes from when it does not stand in the file. */
const ASKED: Readonly<Record<ClientKind, string>> = {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the clients replace these.
  "claude-code": "${WRIT_TOKEN}",
  "claude-desktop": "TOKEN",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as above
  cursor: "${env:WRIT_TOKEN}",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as above
  vscode: "${input:writ-token}",
};

function makeClientEntry(
  client: ClientKind,
  { entry, url }: ImportedEntry,
  place: TokenPlace,
): Readonly<Record<string, unknown>> {
  const own = Object.fromEntries(Object.entries(entry.value).filter(([name]) => !TRANSPORT_MEMBERS.has(name)));
  const authorization = `Bearer ${place.kind === "written" ? place.token : ASKED[client]}`;
  const headers = { Authorization: authorization };
  switch (client) {
    case "claude-desktop":
      // It starts commands only; this one passes on what it is sent. Its header takes the value from the environment.
      return {
        command: "npx",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the command replaces it.
        args: ["-y", "mcp-remote", url, "--header", "Authorization:${WRIT_AUTHORIZATION}"],
        env: { WRIT_AUTHORIZATION: authorization },
        ...own,
      };
    case "cursor":
      return { url, headers, ...own };
    default:
      return { type: "http", url, headers, ...own };
  }
}

/** What of the file changes, for whoever puts it in by hand. */
export function changedPart(file: ClientFile, imported: readonly ImportedEntry[], place: TokenPlace): object {
  const part: Record<string, unknown> = {};
  for (const each of imported) set(part, each.entry.path, makeClientEntry(file.client, each, place));
  if (needsInput(file, place)) part["inputs"] = [vscodeInput()];
  return part;
}

/** The file's whole text with the entries replaced. */
export function rewriteClientFile(file: ClientFile, imported: readonly ImportedEntry[], place: TokenPlace): string {
  const isMarked = file.text.startsWith("\ufeff");
  let text = isMarked ? file.text.slice(1) : file.text;
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const tab = /^\t/m.test(text);
  const width = /^( +)\S/m.exec(text)?.[1]?.length ?? 2;
  const formattingOptions = { insertSpaces: !tab, tabSize: tab ? 1 : width, eol };
  const put = (path: JSONPath, value: unknown, isInsertion = false): void => {
    text = applyEdits(text, modify(text, path, value, { formattingOptions, isArrayInsertion: isInsertion }));
  };
  for (const each of imported) put(each.entry.path, makeClientEntry(file.client, each, place));
  if (needsInput(file, place)) {
    const root: unknown = parse(text, [], { allowTrailingComma: true });
    const inputs = isRecord(root) ? root["inputs"] : undefined;
    const known = Array.isArray(inputs) ? inputs : [];
    if (!known.some((input: unknown) => isRecord(input) && input["id"] === INPUT_ID)) {
      if (Array.isArray(inputs)) put(["inputs", known.length], vscodeInput(), true);
      else put(["inputs"], [vscodeInput()]);
    }
  }
  return isMarked ? `\ufeff${text}` : text;
}

function needsInput({ client }: ClientFile, place: TokenPlace): boolean {
  return client === "vscode" && place.kind === "asked";
}

function vscodeInput(): object {
  return { type: "promptString", id: INPUT_ID, description: "Token for Writ", password: true };
}

function set(target: Record<string, unknown>, path: JSONPath, value: unknown): void {
  let at = target;
  for (const [index, segment] of path.entries()) {
    const name = String(segment);
    if (index === path.length - 1) at[name] = value;
    else {
      const next = isRecord(at[name]) ? { ...at[name] } : {};
      at[name] = next;
      at = next;
    }
  }
}

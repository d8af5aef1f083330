/** A command's way to the control plane: where it is, with which key, for which tenant, and how answers are shown. */
import type { AdminInput } from "@writ/contract/admin";
import { type AdminClient, createAdminClient, type PagedOperation, type PageItem } from "@writ/sdk/admin";
import type { CliContext } from "./cli-context.ts";
import { CliError, EXIT, refused } from "./exit-codes.ts";
import { isUnreachable, withCause } from "./explain-error.ts";
import { readSecretFile, readSecretIfThere } from "./files.ts";
import { type Column, formatTable } from "./format-table.ts";

export const DEFAULT_ADMIN_URL = "http://127.0.0.1:8485";
/** Items that a list shows; a program that wants more asks the admin API by pages. */
const LIST_ITEMS_MAX = 10_000;

/** Options that every command of the admin API has. */
export interface AdminOptions {
  readonly url?: string;
  readonly keyFile?: string;
  readonly tenant?: string;
  readonly json?: boolean;
}

export interface AdminSession {
  readonly client: AdminClient;
  readonly context: CliContext;
  readonly url: string;
  readonly tenant: string;
  readonly json: boolean;
  /** JSON for programs, `text` for people. */
  show(value: unknown, text: () => string): Promise<void>;
  /** All items of a list, as a table or as `{"items": […]}`. */
  list<K extends PagedOperation>(
    operation: K,
    input: AdminInput<K>,
    columns: readonly Column<PageItem<K>>[],
  ): Promise<void>;
}

/** The admin key, or undefined when there is none at hand. */
export async function findAdminKey(context: CliContext, options: AdminOptions): Promise<string | undefined> {
  if (options.keyFile !== undefined) return readSecretFile(context, options.keyFile, "key file");
  const key = context.environment["WRIT_ADMIN_KEY"];
  if (key !== undefined && key !== "") return key;
  return readSecretIfThere(context, `${dataDirectory(context)}/admin-key`, "key file");
}

/** Where a start in this directory keeps its files. */
export function dataDirectory(context: CliContext): string {
  return context.environment["WRIT_DATA_DIR"] ?? ".writ";
}

export async function openAdminSession(context: CliContext, options: AdminOptions): Promise<AdminSession> {
  const key = await findAdminKey(context, options);
  if (key === undefined) {
    throw refused(
      `There is no admin key. Set WRIT_ADMIN_KEY, name a file with --key-file, or run this where ${dataDirectory(context)}/admin-key is.`,
      "admin_key_missing",
    );
  }
  return makeAdminSession(context, options, key);
}

export function makeAdminSession(context: CliContext, options: AdminOptions, key: string): AdminSession {
  const url = readUrl(options.url ?? context.environment["WRIT_ADMIN_URL"] ?? DEFAULT_ADMIN_URL, "--url");
  const client = sayUnreachable(createAdminClient({ url, key }), url);
  const tenant = options.tenant ?? context.environment["WRIT_TENANT"] ?? "default";
  const json = options.json === true;
  return {
    client,
    context,
    url,
    tenant,
    json,
    async show(value, text) {
      await context.out(json ? `${JSON.stringify(value)}\n` : text());
    },
    async list(operation, input, columns) {
      const items: PageItem<typeof operation>[] = [];
      for await (const item of client.pages(operation, input)) {
        if (items.length === LIST_ITEMS_MAX) {
          context.note(`Only the first ${LIST_ITEMS_MAX} are shown.\n`);
          break;
        }
        items.push(item);
      }
      await context.out(json ? `${JSON.stringify({ items })}\n` : formatTable(items, columns));
    },
  };
}

/** An http or https URL without credentials in it. */
export function readUrl(text: string, where: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refused(`${where}: ${text} is not a URL.`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw refused(`${where}: http or https is expected.`);
  if (url.username !== "" || url.password !== "" || url.search !== "") {
    throw refused(`${where}: a URL carries no credentials here; keys belong in WRIT_ADMIN_KEY or a file.`);
  }
  return text.replace(/\/+$/, "");
}

/** The same client, saying where nothing answers. */
function sayUnreachable(client: AdminClient, url: string): AdminClient {
  const translate = (error: unknown): unknown => {
    if (!isUnreachable(error)) return error;
    const why = error instanceof Error ? withCause(error).replace(/^fetch failed: /, "") : "";
    return new CliError(
      EXIT.failure,
      "unreachable",
      `The control plane at ${url} does not answer (${why}). Start it with writ serve, or name it with --url or WRIT_ADMIN_URL.`,
      { cause: error },
    );
  };
  return {
    // The wrapped functions have the types of those they wrap.
    call: (async (...parameters: Parameters<AdminClient["call"]>) => {
      try {
        return await client.call(...parameters);
      } catch (error) {
        throw translate(error);
      }
    }) as AdminClient["call"],
    async *pages(operation, input, options) {
      try {
        yield* client.pages(operation, input, options);
      } catch (error) {
        throw translate(error);
      }
    },
  };
}

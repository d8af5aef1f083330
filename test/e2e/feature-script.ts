/**
 * What the official servers can do, as scripts of single steps that a client of either official SDK takes: what comes of
 * each is written down, so that it can be compared with what comes of it elsewhere. Judges nothing.
 */
import type { Client as ClientV2 } from "@modelcontextprotocol/client";
import type { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { eventually } from "./rig.ts";

type Arguments = Record<string, unknown>;

/** What the scripts need of a client, whichever SDK it is of. */
export interface AnyClient {
  readonly client: ClientV1 | ClientV2;
  /** What the server has asked this client, in order. */
  readonly asked: readonly string[];
  /** URIs of resources that were said to have changed. */
  readonly updated: readonly string[];
  call(name: string, args: Arguments, onprogress?: (progress: number) => void): Promise<unknown>;
  /** Asks to hear of updates of a resource, in whichever way the revision has. */
  subscribe(uri: string): Promise<() => Promise<unknown>>;
  setLevel(level: "error"): Promise<unknown>;
  close(): Promise<void>;
}

export interface Step {
  readonly what: string;
  /** Only of the revisions in which a server asks while it works on a call. */
  readonly sessionOnly?: true;
  run(client: AnyClient): Promise<unknown>;
}

const call = (name: string, args: Arguments = {}): Step => ({
  what: `${name} ${JSON.stringify(args)}`,
  run: (client) => client.call(name, args),
});

const lists: readonly Step[] = [
  {
    what: "tools",
    async run({ client }) {
      // Writ lists them by name; how a tool runs as a long-running task is nothing that it passes on.
      const { tools } = await client.listTools();
      const own = tools.map((tool) => ({ ...tool, execution: undefined }));
      return own.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  },
  { what: "ping", sessionOnly: true, run: ({ client }) => client.ping() },
];

const resources: readonly Step[] = [
  { what: "resources", run: ({ client }) => client.listResources() },
  { what: "templates", run: ({ client }) => client.listResourceTemplates() },
];

const read = (uri: string): Step => ({ what: `read ${uri}`, run: ({ client }) => client.readResource({ uri }) });
const prompt = (name: string, args: Record<string, string> = {}): Step => ({
  what: `prompt ${name}`,
  run: ({ client }) => client.getPrompt({ name, arguments: args }),
});

export const EVERYTHING_STEPS: readonly Step[] = [
  ...lists,
  ...resources,
  { what: "prompts", run: ({ client }) => client.listPrompts() },
  call("echo", { message: "grüße, 世界" }),
  call("echo"),
  call("get-sum", { a: 2, b: 3.5 }),
  call("get-annotated-message", { messageType: "error", includeImage: true }),
  call("get-resource-links", { count: 2 }),
  call("get-resource-reference", { resourceType: "Text", resourceId: 3 }),
  call("get-structured-content", { location: "Chicago" }),
  call("get-tiny-image"),
  call("gzip-file-as-resource", { name: "hello.gz", data: "data:text/plain,hello", outputType: "resource" }),
  {
    what: "progress",
    async run(client) {
      const heard: number[] = [];
      const answer = await client.call("trigger-long-running-operation", { duration: 0.1, steps: 3 }, (progress) =>
        heard.push(progress),
      );
      // The last one may come with the answer, after which the SDKs listen no more.
      return { heard: heard.slice(0, 2), answer };
    },
  },
  read("demo://resource/static/document/startup.md"),
  read("demo://resource/dynamic/text/7"),
  {
    what: "read a blob",
    async run({ client }) {
      const { contents } = await client.readResource({ uri: "demo://resource/dynamic/blob/7" });
      // The bytes say when they were made.
      return contents.map((one) => ("blob" in one ? Buffer.from(String(one.blob), "base64").toString() : one));
    },
  },
  prompt("simple-prompt"),
  prompt("args-prompt", { city: "Bonn", state: "NRW" }),
  prompt("resource-prompt", { resourceType: "Text", resourceId: "2" }),
  {
    what: "completion of an argument of a prompt, with what is known already",
    run: ({ client }) =>
      client.complete({
        ref: { type: "ref/prompt", name: "completable-prompt" },
        argument: { name: "name", value: "" },
        context: { arguments: { department: "Sales" } },
      }),
  },
  {
    what: "completion of a template's variable",
    run: ({ client }) =>
      client.complete({
        ref: { type: "ref/resource", uri: "demo://resource/dynamic/text/{resourceId}" },
        argument: { name: "resourceId", value: "1" },
      }),
  },
  { what: "level", sessionOnly: true, run: (client) => client.setLevel("error") },
  { ...call("trigger-sampling-request", { prompt: "why", maxTokens: 5 }), sessionOnly: true },
  { ...call("trigger-elicitation-request"), sessionOnly: true },
];

export const FILESYSTEM_STEPS: readonly Step[] = [
  ...lists,
  call("list_allowed_directories"),
  call("create_directory", { path: "DIRECTORY/a/b" }),
  call("write_file", { path: "DIRECTORY/a/one.txt", content: "one\ntwo\nthree\n" }),
  call("write_file", { path: "DIRECTORY/a/two.txt", content: "2" }),
  call("read_text_file", { path: "DIRECTORY/a/one.txt", head: 2 }),
  call("read_multiple_files", { paths: ["DIRECTORY/a/one.txt", "DIRECTORY/a/none.txt"] }),
  call("edit_file", { path: "DIRECTORY/a/one.txt", edits: [{ oldText: "two", newText: "zwei" }], dryRun: true }),
  call("edit_file", { path: "DIRECTORY/a/one.txt", edits: [{ oldText: "two", newText: "zwei" }] }),
  call("move_file", { source: "DIRECTORY/a/two.txt", destination: "DIRECTORY/a/b/two.txt" }),
  call("list_directory", { path: "DIRECTORY/a" }),
  call("list_directory_with_sizes", { path: "DIRECTORY/a", sortBy: "size" }),
  call("directory_tree", { path: "DIRECTORY" }),
  call("search_files", { path: "DIRECTORY", pattern: "**/*.txt" }),
  call("read_media_file", { path: "DIRECTORY/a/one.txt" }),
  call("read_text_file", { path: "/etc/passwd" }),
  call("write_file", { path: "DIRECTORY/../outside.txt", content: "x" }),
];

const GRAPH = "memory://knowledge-graph";
const entity = (name: string) => ({ name, entityType: "person", observations: [`${name} exists`] });

export const MEMORY_STEPS: readonly Step[] = [
  ...lists,
  ...resources,
  call("create_entities", { entities: [entity("Ada"), entity("Grace"), entity("Joan")] }),
  call("create_relations", { relations: [{ from: "Ada", to: "Grace", relationType: "knows" }] }),
  call("add_observations", { observations: [{ entityName: "Ada", contents: ["counts"] }] }),
  call("add_observations", { observations: [{ entityName: "Nobody", contents: ["x"] }] }),
  call("read_graph"),
  call("search_nodes", { query: "counts" }),
  call("open_nodes", { names: ["Grace"] }),
  read(GRAPH),
  {
    what: "an update of a resource that the client subscribed to",
    async run(client) {
      const end = await client.subscribe(GRAPH);
      await client.call("delete_entities", { entityNames: ["Joan"] });
      const uri = await eventually("an update", async () => client.updated[0]);
      await end();
      return uri;
    },
  },
  call("delete_observations", { deletions: [{ entityName: "Ada", observations: ["counts"] }] }),
  call("delete_relations", { relations: [{ from: "Ada", to: "Grace", relationType: "knows" }] }),
  read(GRAPH),
];

/** What revisions add to each result and error, which says nothing of what the server answered. */
const OF_THE_REVISION: ReadonlySet<string> = new Set(["resultType", "ttlMs", "cacheScope", "_meta"]);

/** What came of each step, as text; `directory` is where the server works, which is another one each time. */
export async function takeSteps(
  client: AnyClient,
  steps: readonly Step[],
  { directory, asks }: { readonly directory: string; readonly asks: boolean },
): Promise<Readonly<Record<string, string>>> {
  const came: Record<string, string> = {};
  for (const { what, run, sessionOnly } of steps) {
    if (sessionOnly === true && !asks) continue;
    const placed: AnyClient = {
      ...client,
      call: (name, args, onprogress) =>
        client.call(name, JSON.parse(JSON.stringify(args).replaceAll("DIRECTORY", directory)), onprogress),
    };
    let told: unknown;
    try {
      told = await run(placed);
    } catch (error) {
      // An error is one of the answers that are compared.
      const { code, message } = error as { code?: unknown; message: string };
      told = { error: { code, message } };
    }
    came[what] = plain(told).replaceAll(directory, "DIRECTORY");
  }
  if (asks) came["asked"] = JSON.stringify(client.asked);
  return came;
}

/** JSON with sorted members, without what the revision adds and without times. */
function plain(value: unknown): string {
  const own =
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).filter(([name]) => !OF_THE_REVISION.has(name)))
      : value;
  const sorted = (_key: string, part: unknown): unknown =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part;
  const text = JSON.stringify(own, sorted, 1) ?? "nothing";
  return text.replaceAll(/\d{1,2}:\d\d:\d\d(?:\.\d+)?(?: [AP]M|Z)?/g, "TIME");
}

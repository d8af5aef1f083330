/** Files of MCP clients, by the cases beside the repository's others: what each server becomes, and the file afterwards. */
import { readFileSync } from "node:fs";
import { expect, it, describe as suite } from "vitest";
import { chooseUpstream, type Importable, type KnownUpstream, secretsOf } from "./choose-upstream.ts";
import { changedPart, rewriteClientFile } from "./client-config.ts";
import { type ClientFile, readClientFile } from "./client-file.ts";
import { planEntry } from "./plan-entry.ts";

interface FileCase {
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly environment?: Record<string, string>;
  readonly inputs?: Record<string, string>;
  readonly entries?: readonly {
    readonly name: string;
    readonly skip?: string;
    readonly transport?: object;
    readonly credentials?: readonly object[];
    readonly notes?: readonly string[];
  }[];
  readonly rewritten?: string;
  readonly refused?: string;
}

const HOME = "/home/me";
// The shape that the README beside it describes.
const { files } = JSON.parse(
  readFileSync(new URL("../../../../cases/client-files/files.json", import.meta.url), "utf8"),
) as {
  readonly files: readonly FileCase[];
};

function planAll(file: ClientFile, { environment = {}, inputs = {} }: Pick<FileCase, "environment" | "inputs">) {
  const context = { client: file.client, environment: { HOME, ...environment }, home: HOME, inputs };
  return file.entries.map((entry) => ({ entry, plan: planEntry(entry, context) }));
}

suite("a client's file", () => {
  it.each(files.filter(({ entries }) => entries !== undefined))("becomes what the case says: $name", (given) => {
    const file = readClientFile(given, { client: undefined, home: HOME });
    const planned = planAll(file, given);
    expect(
      planned.map(({ entry: { name }, plan }) =>
        plan.kind === "skip"
          ? { name, skip: plan.why }
          : { name, transport: plan.transport, credentials: plan.credentials, notes: plan.notes },
      ),
    ).toEqual(
      given.entries?.map(({ name, skip, transport, credentials = [], notes = [] }) =>
        skip === undefined ? { name, transport, credentials, notes } : { name, skip },
      ),
    );
    if (given.rewritten === undefined) return;
    const known = new Map();
    const imported = planned.flatMap(({ entry, plan }) => {
      if (plan.kind === "skip") return [];
      const url = `http://127.0.0.1:8484/mcp/${chooseUpstream(entry.name, plan, known)?.name}`;
      return [{ entry, url }];
    });
    const rewritten = rewriteClientFile(file, imported, { kind: "asked" });
    expect(rewritten).toBe(given.rewritten);
    // Read again it leads to Writ, and neither it nor what is shown of it holds what was secret.
    expect(
      readClientFile({ path: given.path, text: rewritten }, { client: undefined, home: HOME }).entries,
    ).toHaveLength(file.entries.length);
    const shown = JSON.stringify(changedPart(file, imported, { kind: "asked" }));
    for (const { plan } of planned) {
      if (plan.kind === "skip") continue;
      for (const { value } of plan.credentials) expect(`${rewritten}${shown}`).not.toContain(value);
    }
  });

  it.each(files.filter(({ refused }) => refused !== undefined))("is refused with what to do: $name", (given) => {
    expect(() => readClientFile(given, { client: undefined, home: HOME })).toThrow(given.refused);
  });

  it("keeps a mark at its beginning, and line ends", () => {
    const text = '\ufeff{\r\n  "mcpServers": {\r\n    "a": { "command": "x" }\r\n  }\r\n}\r\n';
    const file = readClientFile({ path: "/p/.mcp.json", text }, { client: undefined, home: HOME });
    const [entry] = file.entries;
    if (entry === undefined) throw new TypeError("there is one");
    const rewritten = rewriteClientFile(file, [{ entry, url: "http://w/mcp/a" }], { kind: "written", token: "writ_x" });
    expect(rewritten.startsWith('\ufeff{\r\n  "mcpServers": {\r\n    "a": {\r\n      "type": "http",\r\n')).toBe(true);
    expect(rewritten).toContain('"Authorization": "Bearer writ_x"');
  });
});

suite("an entry's upstream", () => {
  const stdio = (command: string, env: Record<string, string> = {}): Importable => ({
    kind: "import",
    transport: { type: "stdio", command, args: [], env },
    credentials: [],
    notes: [],
  });

  const http = (value: string, secrets: string | undefined): [string, KnownUpstream] => {
    const credentials = [{ in: "header", name: "authorization", prefix: "Bearer ", file: value }] as const;
    return [
      "github",
      { name: "github", transport: { type: "http", url: "https://a.example/mcp", credentials }, secrets },
    ];
  };
  const planned = (value: string): Importable => ({
    kind: "import",
    transport: { type: "http", url: "https://a.example/mcp" },
    credentials: [{ in: "header", name: "authorization", prefix: "Bearer ", value }],
    notes: [],
  });

  it("is the one that is there if it leads to the same, and else gets a number", () => {
    const known = new Map<string, KnownUpstream>([
      ["files", { name: "files", transport: { type: "stdio", command: "a", args: [], env: {} }, secrets: undefined }],
      ["files-2", { name: "files-2", transport: { type: "http", url: "https://a.example/mcp" }, secrets: "[]" }],
    ]);
    expect(chooseUpstream("Files", stdio("a"), known)).toEqual({ kind: "there", name: "files" });
    expect(chooseUpstream("files", stdio("a", { OTHER: "" }), known)).toEqual({ kind: "new", name: "files-3" });
    expect(chooseUpstream("日本", stdio("a"), known)).toEqual({ kind: "new", name: "server" });
    expect(chooseUpstream("x".repeat(100), stdio("a"), known)?.name.length).toBeLessThanOrEqual(63);
  });

  it("is another one for an entry with other secrets, and none where that cannot be seen", () => {
    const mine = secretsOf(planned("mine"));
    expect(chooseUpstream("github", planned("mine"), new Map([http("f", mine)]))).toEqual({
      kind: "there",
      name: "github",
    });
    expect(chooseUpstream("github", planned("another"), new Map([http("f", mine)]))).toEqual({
      kind: "new",
      name: "github-2",
      unlike: "github",
    });
    expect(chooseUpstream("github", planned("mine"), new Map([http("f", undefined)]))).toEqual({
      kind: "unseen",
      name: "github",
    });
    const transport = { type: "stdio", command: "a", args: [], env: { DATABASE_URL: "***" } } as const;
    const dev = stdio("a", { DATABASE_URL: "dev" });
    const stored = new Map([["db", { name: "db", transport, secrets: undefined }]]);
    expect(chooseUpstream("db", dev, stored)).toEqual({ kind: "unseen", name: "db" });
    const justNow = new Map([["db", { name: "db", transport, secrets: secretsOf(dev) }]]);
    expect(chooseUpstream("db", dev, justNow)).toEqual({ kind: "there", name: "db" });
    const production = stdio("a", { DATABASE_URL: "production" });
    expect(chooseUpstream("db", production, justNow)).toEqual({ kind: "new", name: "db-2", unlike: "db" });
  });
});

/**
 * MCP clients that are not ours, by URL and bearer token alone: the official SDK 1.x and 2.x (both eras) and the official
 * inspector, against the reference server over stdio and over Streamable HTTP behind a Writ of their own.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, type Rig, startEverything, startRig } from "./rig.ts";
import { connectV1, connectV2 } from "./sdk-clients.ts";

let rig: Rig;
let everything: Awaited<ReturnType<typeof startEverything>>;
let token: string;

beforeAll(async () => {
  everything = await startEverything();
  rig = await startRig();
  await rig.addUpstream("remote", everything.url);
  token = await rig.mint([
    { tools: ["everything/*", "remote/*", "up/*"] },
    { not_tools: ["everything/gzip-file-as-resource", "remote/gzip-file-as-resource"] },
    { args: { "*/get-sum": { "/a": { max: 100 } } } },
  ]);
});
afterAll(async () => {
  await rig?.close();
  await everything?.close();
});

interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: { progress: number; total?: number | undefined }) => void;
}

const clients = [
  {
    name: "the official SDK 1.x",
    async connect(url: string, bearer: string) {
      const client = await connectV1(url, bearer);
      return {
        list: async () => (await client.listTools()).tools.map((tool) => tool.name),
        call: (name: string, args: Record<string, unknown>, options: CallOptions = {}) =>
          client.callTool({ name, arguments: args }, undefined, options),
        close: () => client.close(),
      };
    },
  },
  ...(["legacy", "auto"] as const).map((mode) => ({
    name: `the official SDK 2.x (${mode})`,
    async connect(url: string, bearer: string) {
      const client = await connectV2(url, bearer, mode);
      return {
        list: async () => (await client.listTools()).tools.map((tool) => tool.name),
        call: (name: string, args: Record<string, unknown>, options: CallOptions = {}) =>
          client.callTool({ name, arguments: args }, options),
        close: () => client.close(),
      };
    },
  })),
];

describe.each(clients)("$name", ({ connect }) => {
  describe.each(["everything", "remote"])("on the reference server as %s", (upstream) => {
    test("lists the tools that its token and the rules permit, and no others", async () => {
      const client = await connect(rig.url(upstream), token);
      const tools = await client.list();
      expect(tools).toContain("echo");
      expect(tools).toContain("get-sum");
      expect(tools).not.toContain("get-env");
      expect(tools).not.toContain("gzip-file-as-resource");
      await client.close();
    });

    test("calls a tool and reads its answer", async () => {
      const client = await connect(rig.url(upstream), token);
      expect(await client.call("get-sum", { a: 2, b: 3 })).toMatchObject({
        content: [{ type: "text", text: expect.stringContaining("5") }],
      });
      await client.close();
    });

    test("hears of progress", async () => {
      const client = await connect(rig.url(upstream), token);
      const heard: number[] = [];
      const answer = await client.call(
        "trigger-long-running-operation",
        { duration: 0.2, steps: 4 },
        { onprogress: ({ progress }) => heard.push(progress) },
      );
      expect(answer.isError ?? false).toBe(false);
      expect(heard).toEqual([1, 2, 3, 4]);
      await client.close();
    });

    test("cancels a call, which is on record as one that may have run", async () => {
      const client = await connect(rig.url(upstream), token);
      const cut = new AbortController();
      const seen = (await rig.events()).length;
      const call = client.call(
        "trigger-long-running-operation",
        { duration: 60, steps: 600 },
        { signal: cut.signal, onprogress: () => cut.abort() },
      );
      await expect(call).rejects.toThrow();
      const end = await eventually("an outcome", async () =>
        (await rig.events())
          .slice(seen)
          .find(({ name }) => ["call.unknown", "call.failed", "call.completed"].includes(name)),
      );
      expect(end.name).not.toBe("call.completed");
      await client.close();
    });

    test("gets denials as ordinary errors with a code and a reason", async () => {
      const client = await connect(rig.url(upstream), token);
      await expect(client.call("get-sum", { a: 101, b: 1 })).rejects.toMatchObject({
        code: -32010,
        message: expect.stringContaining("An argument is outside what the token permits."),
        data: { reason: "caveat_args", callId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      });
      await expect(client.call("echo", { message: "secret plan" })).rejects.toMatchObject({
        code: -32014,
        data: { reason: "policy_denied" },
      });
      // Denied or not, the session goes on.
      expect(await client.call("echo", { message: "hello" })).toMatchObject({ content: [{ text: "Echo: hello" }] });
      await client.close();
    });

    test("gets the same error for a hidden tool as for one that does not exist", async () => {
      const client = await connect(rig.url(upstream), token);
      const errorOf = async (tool: string): Promise<unknown> => {
        try {
          return await client.call(tool, {});
        } catch (error) {
          // The SDK turns a JSON-RPC error into one of its own; that is what is compared.
          const { code, message, data } = error as { code: unknown; message: string; data: unknown };
          return { code, message: message.replaceAll(tool, "TOOL"), data };
        }
      };
      const unknown = await errorOf("no-such-tool");
      expect(unknown).toMatchObject({ code: -32602, message: expect.stringContaining("Unknown tool: TOOL") });
      expect(await errorOf("get-env")).toEqual(unknown);
      expect(await errorOf("gzip-file-as-resource")).toEqual(unknown);
      await client.close();
    });
  });

  test("is turned away at once without a token that is good", async () => {
    for (const bearer of ["", "invented", `${token.slice(0, -2)}AA`]) {
      await expect(connect(rig.url("everything"), bearer)).rejects.toThrow();
    }
  });
});

const INSPECTOR = join(
  dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json")),
  "clients/launcher/build/index.js",
);

/** The inspector's command line, in a process of its own. */
async function inspect(
  upstream: string,
  method: readonly string[],
): Promise<{ readonly code: number | null; readonly out: string }> {
  const child = spawn(
    process.execPath,
    [
      INSPECTOR,
      "--cli",
      rig.url(upstream),
      "--transport",
      "http",
      "--header",
      `Authorization: Bearer ${token}`,
      ...method,
    ],
    { env: { PATH: process.env["PATH"] ?? "", HOME: rig.writ.directory }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out };
}

describe.each(["everything", "remote"])("the official inspector on the reference server as %s", (upstream) => {
  test("lists what is permitted", async () => {
    const { code, out } = await inspect(upstream, ["--method", "tools/list"]);
    expect(out).toContain('"name": "echo"');
    expect(out).not.toContain("get-env");
    expect(code).toBe(0);
  });

  test("calls a tool, and shows a denial with its reason", async () => {
    const call = ["--method", "tools/call", "--tool-name", "echo", "--tool-arg"];
    const allowed = await inspect(upstream, [...call, "message=hello"]);
    expect(allowed).toMatchObject({ code: 0, out: expect.stringContaining("Echo: hello") });
    const denied = await inspect(upstream, [...call, "message=secret plan"]);
    expect(denied.out).toContain("A rule denies the call.");
    expect(denied.code).not.toBe(0);
  });
});

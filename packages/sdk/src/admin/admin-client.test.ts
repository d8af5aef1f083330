import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ADMIN_ROUTES, type AdminOperationsAreComplete } from "@writ/contract/admin";
import { afterEach, expect, test } from "vitest";
import { adminPath, createAdminClient } from "./admin-client.ts";
import { ProblemError } from "./problem-error.ts";

let server: Server | undefined;
afterEach(() => server?.close());

async function peer(
  answers: readonly { status: number; type: string; body: string }[],
): Promise<{ url: string; urls: string[] }> {
  const urls: string[] = [];
  server = createServer((request, response) => {
    const answer = answers[Math.min(urls.length, answers.length - 1)];
    urls.push(`${request.method} ${request.url}`);
    request.resume();
    response.writeHead(answer?.status ?? 500, { "content-type": answer?.type ?? "" });
    response.end(answer?.body);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, urls }; // a TCP server has an AddressInfo
}

test("every operation has a route and a shape", () => {
  const complete: AdminOperationsAreComplete = true;
  expect(complete).toBe(true);
});

test("parameters are encoded, so that none can leave its segment", () => {
  const params = { tenant: "a/../b", scope: "tool", scopeId: "everything/echo" };
  expect(adminPath(ADMIN_ROUTES["kill.engage"], { params })).toBe("/v1/tenants/a%2F..%2Fb/kill/tool/everything%2Fecho");
  expect(() => adminPath(ADMIN_ROUTES["agents.get"], { params: { tenant: "t" } })).toThrow(TypeError);
});

test("pages are read one after the other", async () => {
  const type = "application/json";
  const { url, urls } = await peer([
    { status: 200, type, body: '{"items":[{"id":"1"}],"next":"1"}' },
    { status: 200, type, body: '{"items":[{"id":"2"}]}' },
  ]);
  const client = createAdminClient({ url, key: "wadm_x" });
  const found: string[] = [];
  for await (const agent of client.pages("agents.list", { params: { tenant: "default" }, query: { limit: 1 } })) {
    found.push(agent.id);
  }
  expect(found).toEqual(["1", "2"]);
  expect(urls[1]).toBe("GET /v1/tenants/default/agents?limit=1&after=1");
});

test("a problem document becomes an error with its code, anything else one that says so", async () => {
  const problem = { code: "version_conflict", detail: "stale", expectedVersion: 1, actualVersion: 2 };
  const { url } = await peer([
    { status: 409, type: "application/problem+json", body: JSON.stringify(problem) },
    { status: 502, type: "text/html", body: "<html>" },
  ]);
  const client = createAdminClient({ url, key: "wadm_secret" });
  const first = await client.call("tenants.list").catch((thrown: unknown) => thrown);
  expect(first).toBeInstanceOf(ProblemError);
  expect(first).toMatchObject({ code: "version_conflict", status: 409, problem: { actualVersion: 2 } });
  const second = await client.call("tenants.list").catch((thrown: unknown) => thrown);
  expect(second).toMatchObject({ code: "no_problem_document", status: 502 });
  expect(String(second)).not.toContain("wadm_secret");
});

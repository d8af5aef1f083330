/** An upstream that fails is given up for a while: agents are told when to come again, and the log says so. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, type Rig, startRig, statelessCall } from "./rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(async () => {
  await rig?.close();
});

test("calls to an upstream that is gone are denied with advice, and the log says that it was given up", async () => {
  const token = await rig.mint();
  const { body, headers } = statelessCall("echo", { message: "hi" });
  expect((await rig.post("up", token, body, headers)).status).toBe(200);
  await rig.upstream.close();

  const denied = await eventually("a call is denied because the upstream is given time", async () => {
    const answer = await rig.post("up", token, body, headers);
    return answer.status === 503 ? answer : undefined;
  });

  expect(Number(denied.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(JSON.parse(denied.text).error.data).toMatchObject({
    reason: "upstream_unavailable",
    retryAfterSeconds: expect.any(Number),
  });
  const event = await eventually("the log says so", async () =>
    (await rig.events()).find(({ name }) => name === "upstream.unavailable"),
  );
  expect(event.fields).toMatchObject({ upstream: "up", status: expect.stringContaining("ECONNREFUSED") });
});

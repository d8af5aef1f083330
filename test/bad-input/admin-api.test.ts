/** Whatever stands in the parameters and bodies of the admin API, with a key that may do everything: never a 5xx. */
import { ADMIN_ROUTES } from "@writ/contract/admin";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Rig, startRig, TENANT } from "../e2e/rig.ts";

const RUNS = Number(process.env["WRIT_FUZZ_RUNS"] ?? 12);
/** These stop all calls or take keys away, with the body that they are given: tried on a name that does not exist. */
const ENDING = /^(?:kill|admin_keys)/;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig?.close());

const word = fc.oneof(
  fc.constantFrom("", "..", "%00", "a/b", "null", "-1", "00000000-0000-7000-8000-000000000001", "up", "everything"),
  fc.string({ unit: "binary", maxLength: 40 }).filter((text) => text.isWellFormed()),
);
const member = fc.constantFrom(
  "name",
  "id",
  "version",
  "status",
  "type",
  "source",
  "agent",
  "caveats",
  "transport",
  "limit",
  "scope",
  "window",
  "expectedActive",
  "__proto__",
  "reason",
  "labels",
  "principal",
  "unit",
);
const body = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc
    .dictionary(member, fc.oneof(fc.jsonValue({ maxDepth: 2 }), word, fc.double(), fc.maxSafeInteger()), { maxKeys: 6 })
    .map((value) => JSON.stringify(value)),
  fc.constantFrom("", "{", "[]", "null", '{"name":"a","name":"b"}', '{"__proto__":{"a":1}}', `${"[".repeat(5_000)}`),
);

it.each(Object.entries(ADMIN_ROUTES))("%s answers any input without a fault of its own", async (name, route) => {
  await fc.assert(
    fc.asyncProperty(word, word, word, fc.boolean(), body, async (id, query, value, foreign, text) => {
      const tenant = foreign || ENDING.test(name) ? `x${id}` : TENANT;
      const path = route.path
        .replace("{tenant}", encodeURIComponent(tenant))
        .replace(/\{\w+\}/g, encodeURIComponent(id === "" ? "x" : id));
      const url = `${rig.writ.adminUrl}${path}?limit=${encodeURIComponent(query)}&cursor=${encodeURIComponent(value)}`;
      const hasBody = route.method !== "GET" && route.method !== "DELETE";
      const response = await fetch(url, {
        method: route.method,
        headers: {
          authorization: `Bearer ${rig.writ.adminKey}`,
          ...(hasBody ? { "content-type": "application/json" } : {}),
        },
        ...(hasBody ? { body: text } : {}),
      });
      const answer = await response.text();
      expect(response.status, `${route.method} ${path} ${text}: ${answer}`).toBeLessThan(500);
    }),
    { numRuns: RUNS, seed: 20_261_121 },
  );
});

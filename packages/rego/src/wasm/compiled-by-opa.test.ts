/** A policy that OPA itself has compiled answers behind the same interface as the engine does for its source. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { writeJson } from "../json.ts";
import { compile } from "../program.ts";
import { loadWasm } from "./wasm-program.ts";

const FOLDER = join(import.meta.dirname, "../../../../cases/rego/compiled");
const QUERY = "data.writ.decision";

interface Decision {
  readonly kind: string;
  readonly denials?: readonly string[];
}

test("a policy that OPA has compiled and its source answer alike, whatever the input", async () => {
  const loaded = await loadWasm(new Uint8Array(readFileSync(join(FOLDER, "gateway.wasm"))));
  if (loaded.kind === "fault") throw new TypeError(loaded.message);
  const text = readFileSync(join(FOLDER, "gateway.rego"), "utf8");
  const compiled = compile([{ file: "gateway.rego", text }]);
  if (compiled.kind === "problems") throw new TypeError(compiled.problems[0]?.message);
  expect(loaded.program.queries).toEqual([QUERY]);

  const often = <T>(usual: fc.Arbitrary<T>) => fc.oneof({ weight: 5, arbitrary: usual }, fc.jsonValue({ maxDepth: 1 }));
  const input = fc.record(
    {
      subject: often(fc.record({ roles: often(fc.array(fc.constantFrom("reader", "operator", "other"))) })),
      resource: often(
        fc.record(
          { tool: often(fc.constantFrom("search", "read", "transfer", "drop")), destructive: often(fc.boolean()) },
          { requiredKeys: [] },
        ),
      ),
      context: often(
        fc.record(
          {
            arguments: often(fc.record({ amount: often(fc.integer({ min: 900, max: 1_100 })) })),
            network: often(fc.constantFrom("office", "vpn", "street")),
            hour: often(fc.integer({ min: 4, max: 24 })),
          },
          { requiredKeys: [] },
        ),
      ),
    },
    { requiredKeys: [] },
  );
  const seen = new Set<string>();
  fc.assert(
    fc.property(input, (made) => {
      // As JSON says it: the library takes and gives nothing else.
      const options = { input: JSON.parse(JSON.stringify(made)) };
      const answer = compiled.program.evaluate(QUERY, options);
      if (answer.kind !== "value") throw new TypeError("there is a default");
      const wanted = JSON.parse(writeJson(answer.value)) as Decision;
      const told = loaded.program.evaluate(QUERY, options);
      if (told.kind !== "value") throw new TypeError("the compiled policy has the same default");
      // A set is an array in JSON, whose order is nothing in the compiled policy.
      const value = JSON.parse(writeJson(told.value)) as Decision;
      expect({ ...value, ...(value.denials === undefined ? {} : { denials: [...value.denials].sort() }) }).toEqual(
        wanted,
      );
      seen.add(wanted.kind);
    }),
    { numRuns: 2_000 },
  );
  expect(seen).toEqual(new Set(["allow", "deny"]));
});

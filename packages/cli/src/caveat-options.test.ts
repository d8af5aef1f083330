import { expect, test } from "vitest";
import { caveatsOf, noteOn } from "./caveat-options.ts";

const http = '{"http":{"shop":["GET /v1/**"]}}';

test.each([
  ["names tools", caveatsOf({ tools: "files/*" }), /no requests of HTTP APIs\./],
  ["names tools before what it may request", ['{"tools":["files/*"]}', http], /has to come before the tools/],
  ["names tools and what it may request", caveatsOf({ tools: "files/*", caveat: [http] }), /^$/],
  ["names none", caveatsOf({ calls: 5 }), /^$/],
])("whoever makes a token that %s is told what it leaves out", (_name, caveats, note) => {
  expect(noteOn(caveats)).toMatch(note);
});

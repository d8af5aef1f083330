/** Built-ins on Rego itself. What `rego.metadata` answers is known at compile time, which resolve.ts puts in its place. */
import { ANY, arrayOf } from "../types.ts";
import { type Builtin, builtin } from "./builtin.ts";

export const REGO: readonly Builtin[] = [
  builtin("rego.metadata.chain", [], arrayOf(ANY), () => []),
  builtin("rego.metadata.rule", [], ANY, () => ({})),
];

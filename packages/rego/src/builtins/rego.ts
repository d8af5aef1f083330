/** Built-ins on Rego itself. What `rego.metadata` answers is known at compile time, which resolve.ts puts in its place. */
import { parseModule } from "../syntax/parser.ts";
import { ANY, ANY_OBJECT, arrayOf, STRING } from "../types.ts";
import { type Builtin, builtin, builtinError, stringOperand } from "./builtin.ts";
import { moduleJson } from "./module-json.ts";

export const REGO: readonly Builtin[] = [
  builtin("rego.metadata.chain", [], arrayOf(ANY), () => []),
  builtin("rego.metadata.rule", [], ANY, () => ({})),
  builtin("rego.parse_module", [STRING, STRING], ANY_OBJECT, (environment, file, text) => {
    const source = stringOperand(text, 2);
    environment.spend(source.length);
    const read = parseModule(stringOperand(file, 1), source);
    if (read.kind === "module") return moduleJson(read.module);
    const [first] = read.problems;
    throw builtinError(first === undefined ? "no module" : `${first.code}: ${first.message}`);
  }),
];

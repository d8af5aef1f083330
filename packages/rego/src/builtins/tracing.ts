/** Built-ins that tell whoever evaluates something on the side. `print` takes any number of arguments: see plan.ts. */
import { ANY, BOOLEAN, STRING } from "../types.ts";
import { type Builtin, builtin, stringOperand } from "./builtin.ts";

export const TRACING: readonly Builtin[] = [
  builtin("trace", [STRING], BOOLEAN, (environment, text) => {
    environment.note(stringOperand(text, 1));
    return true;
  }),
  builtin("print", [ANY], BOOLEAN, () => true),
];

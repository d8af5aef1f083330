/** Built-ins on the program that evaluates. It tells nothing of itself: a policy must not depend on where it runs. */
import { ANY_OBJECT } from "../types.ts";
import { type Builtin, builtin } from "./builtin.ts";

export const OPA: readonly Builtin[] = [builtin("opa.runtime", [], ANY_OBJECT, () => ({}))];

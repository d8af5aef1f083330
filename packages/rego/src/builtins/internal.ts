/** Built-ins that OPA's compiler calls where people write template strings; modules that it rewrote have them. */
import { ANY, arrayOf, STRING } from "../types.ts";
import { isSet, writeValue } from "../value.ts";
import { arrayOperand, type Builtin, builtin, builtinError } from "./builtin.ts";

export const INTERNAL: readonly Builtin[] = [
  builtin("internal.template_string", [arrayOf(ANY)], STRING, (_, parts) => {
    let text = "";
    for (const part of arrayOperand(parts, 1)) {
      // An expression is a set of its values: none when it is undefined.
      const members = isSet(part) ? part.members() : [part];
      const [value, ...others] = members;
      if (others.length > 0) throw builtinError("template-strings must not produce multiple outputs");
      if (value === undefined) text += "<undefined>";
      else text += typeof value === "string" ? value : writeValue(value);
    }
    return text;
  }),
];

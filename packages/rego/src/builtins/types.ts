/** Built-ins that tell the type of a value. */
import { ANY, BOOLEAN, STRING } from "../types.ts";
import { type Kind, kindOf } from "../value.ts";
import { type Builtin, builtin } from "./builtin.ts";

const KINDS: readonly Kind[] = ["array", "boolean", "null", "number", "object", "set", "string"];

export const TYPES: readonly Builtin[] = [
  builtin("type_name", [ANY], STRING, (_, value) => kindOf(value)),
  ...KINDS.map((kind) => builtin(`is_${kind}`, [ANY], BOOLEAN, (_, value) => kindOf(value) === kind)),
];

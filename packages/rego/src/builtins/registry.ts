/** All built-ins, by area. A new area is a file beside this one and a line here. */
import { AGGREGATES } from "./aggregates.ts";
import { ARITHMETIC } from "./arithmetic.ts";
import type { Builtin } from "./builtin.ts";
import { COMPARISON } from "./comparison.ts";
import { OPA } from "./opa.ts";
import { REFUSED } from "./refused.ts";
import { REGO } from "./rego.ts";
import { SETS } from "./sets.ts";
import { STRINGS } from "./strings.ts";
import { TEMPLATE } from "./template.ts";
import { TRACING } from "./tracing.ts";
import { TYPES } from "./types.ts";

export const BUILTINS: readonly Builtin[] = [
  ...AGGREGATES,
  ...ARITHMETIC,
  ...COMPARISON,
  ...OPA,
  ...REFUSED,
  ...REGO,
  ...SETS,
  ...STRINGS,
  ...TEMPLATE,
  ...TRACING,
  ...TYPES,
];

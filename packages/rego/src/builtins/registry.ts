/** All built-ins, by area. A new area is a file beside this one and a line here. */
import { AGGREGATES } from "./aggregates.ts";
import { ARITHMETIC } from "./arithmetic.ts";
import type { Builtin } from "./builtin.ts";
import { COMPARISON } from "./comparison.ts";
import { SETS } from "./sets.ts";
import { TYPES } from "./types.ts";

export const BUILTINS: readonly Builtin[] = [...AGGREGATES, ...ARITHMETIC, ...COMPARISON, ...SETS, ...TYPES];

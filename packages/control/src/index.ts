export type { Clock, Random } from "./clock.ts";
export { type BootstrapOptions, type BootstrapResult, DEFAULT_TENANT } from "./commands/bootstrap.ts";
export { STARTER_RULES } from "./commands/starter-rules.ts";
export { type Control, type ControlOptions, createControl } from "./create-control.ts";

/** Every command with its sentence and the file that defines it, which is loaded only when the command is used. */
import type { DefineCommands } from "./define-commands.ts";

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly define: DefineCommands }>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "serve",
    summary: "Run the gateway and the control plane in one process.",
    load: () => import("./commands/serve.ts"),
  },
  { name: "gateway", summary: "Run the gateway alone.", load: () => import("./commands/gateway.ts") },
  { name: "control", summary: "Run the control plane alone.", load: () => import("./commands/control.ts") },
  {
    name: "migrate",
    summary: "Apply the migrations that the database lacks.",
    load: () => import("./commands/migrate.ts"),
  },
  { name: "doctor", summary: "Check what a start would need.", load: () => import("./commands/doctor.ts") },
  {
    name: "demo",
    summary: "Show in a minute what Writ does, on a gateway of its own.",
    load: () => import("./commands/demo.ts"),
  },
  {
    name: "agent",
    summary: "Agents: list, add, show, suspend, resume, connect.",
    load: () => import("./commands/agent.ts"),
  },
  {
    name: "principal",
    summary: "Principals: list, add, show, suspend, resume.",
    load: () => import("./commands/principal.ts"),
  },
  { name: "upstream", summary: "Upstreams and their tools.", load: () => import("./commands/upstream.ts") },
  {
    name: "token",
    summary: "Capability tokens: mint, attenuate, inspect, explain, revoke.",
    load: () => import("./commands/token.ts"),
  },
  {
    name: "policy",
    summary: "The rules file: validate, test, try, apply, diff.",
    load: () => import("./commands/policy.ts"),
  },
  {
    name: "observe",
    summary: "Observe mode: start, stop, list, report.",
    load: () => import("./commands/observe.ts"),
  },
  {
    name: "import",
    summary: "Put the servers of MCP clients' configuration files behind Writ.",
    load: () => import("./commands/import.ts"),
  },
  { name: "budget", summary: "Budgets: list, add, set, remove, usage.", load: () => import("./commands/budget.ts") },
  { name: "rate", summary: "Rates: list, add, set, remove.", load: () => import("./commands/rate.ts") },
  { name: "price", summary: "The price list: list, set, remove.", load: () => import("./commands/price.ts") },
  { name: "kill", summary: "Kill switches: list, engage, release.", load: () => import("./commands/kill.ts") },
  {
    name: "call",
    summary: "Make one call through the gateway and explain it stage by stage.",
    load: () => import("./commands/call.ts"),
  },
  { name: "audit", summary: "The audit log: tail, query, verify, export.", load: () => import("./commands/audit.ts") },
  { name: "root-key", summary: "Root keys: list, rotate, retire.", load: () => import("./commands/root-key.ts") },
  {
    name: "tenant",
    summary: "Tenants: list, add, show, set, suspend, resume.",
    load: () => import("./commands/tenant.ts"),
  },
  {
    name: "enforcement-point",
    summary: "Enforcement points: list, create, revoke.",
    load: () => import("./commands/enforcement-point.ts"),
  },
  { name: "admin-key", summary: "Admin keys: list, create, revoke.", load: () => import("./commands/admin-key.ts") },
];

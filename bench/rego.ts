/**
 * `npm run bench:rego`: what a decision costs in the Rego engine, beside Cedar's own engine in WebAssembly on policies
 * that say the same, and beside the policy that OPA has compiled to WebAssembly, in one process and warm. Inputs are parsed JSON before the clock starts, as the gateway has them.
 *   --quick   short phases
 *   --json    prints one object and nothing else
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { compile, type Evaluator, type Program, type Value } from "@writ/rego";
import { loadWasm } from "@writ/rego/wasm";

// WebAssembly in its fast form from the start: on a busy machine it would be compiled late, and Cedar look slow.
setFlagsFromString("--no-liftoff");
setFlagsFromString("--no-wasm-tier-up");
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void; // V8's own, made by the flag

// The package's types name one entry only; this one is its build for Node.
const cedar: typeof import("@cedar-policy/cedar-wasm") = await import("@cedar-policy/cedar-wasm/nodejs");

const QUERY = "data.writ.decision";
const RULE_COUNTS = [10, 100, 1_000];
const BATCHES = 15;

/** Milliseconds of warming up and of measuring, for each row. */
const FULL = { warmMs: 600, measureMs: 1_500 };
const QUICK = { warmMs: 150, measureMs: 300 };

interface Row {
  readonly policy: string;
  readonly engine: "rego" | "cedar" | "opa-wasm";
  readonly inputKb: number;
  /** By the clock: the median of the batches, and the fastest. */
  readonly medianUs: number;
  readonly fastestUs: number;
  /** Processor time of all threads, the median of the batches: what says most on a machine that has other work. */
  readonly cpuUs: number;
}

type Timing = Pick<Row, "medianUs" | "fastestUs" | "cpuUs">;

interface CompileRow {
  readonly policy: string;
  readonly engine: "rego" | "cedar";
  /** Processor time of all threads. */
  readonly compileMs: number;
  /** Heap that the compiled policy keeps; undefined where it lies outside of the heap. */
  readonly heapKb: number | undefined;
}

/** Ten rules of a gateway, and the same as OPA has compiled them (cases/rego/README.md). */
const COMPILED = join(import.meta.dirname, "../cases/rego/compiled");
const GATEWAY_REGO = readFileSync(join(COMPILED, "gateway.rego"), "utf8");

const GATEWAY_CEDAR = `
permit(principal, action == Action::"tool.call", resource)
when { context.roles.contains("reader") && ["search", "read"].contains(context.tool) };
permit(principal, action == Action::"tool.call", resource)
when { context.roles.contains("operator") && ["search", "read", "transfer"].contains(context.tool) };
forbid(principal, action, resource) when { context.arguments.amount > 1000 };
forbid(principal, action, resource) unless { ["office", "vpn"].contains(context.network) };
forbid(principal, action, resource) unless { context.hour >= 6 && context.hour < 22 };
forbid(principal, action, resource) when { context.destructive && !context.roles.contains("operator") };
`;

/** As many rules, of which the action and the tool say which one counts. */
function manyInRego(count: number): string {
  const rules = Array.from(
    { length: count },
    (_, index) =>
      `decision := {"kind": "allow", "reason": "rule_${index}"} if {\n\tinput.action == "action_${index % 7}"\n` +
      `\tinput.resource.tool == "tool_${index}"\n\tinput.context.hour < 22\n}\n`,
  );
  return `package writ\n\ndefault decision := {"kind": "deny", "reason": "none"}\n\n${rules.join("\n")}`;
}

function manyInCedar(count: number): string {
  return Array.from(
    { length: count },
    (_, index) =>
      `permit(principal, action == Action::"action_${index % 7}", resource == Tool::"tool_${index}")\n` +
      `when { context.hour < 22 };\n`,
  ).join("");
}

interface Request {
  readonly action: string;
  readonly tool: string;
}

/** The input of a decision of about so many bytes; what fills it is looked at by no rule. */
function inputFor(request: Request, bytes: number): Value {
  const input = {
    subject: { agent: "agent-7", principal: "ada", roles: ["reader", "operator"], actorChain: ["ada", "agent-7"] },
    action: request.action,
    resource: { tool: request.tool, upstream: "bank", destructive: true },
    context: { arguments: { amount: 250, to: "acme" }, network: "vpn", hour: 14 },
    facts: [] as Value[],
  };
  while (JSON.stringify(input).length < bytes - 80) {
    const count = input.facts.length;
    input.facts.push({ name: `fact-${count}`, value: count * 3, source: "session", validUntil: 1_790_000_000 + count });
  }
  return input;
}

/** The same for Cedar, where all that is no entity is context. */
function cedarCall(request: Request, bytes: number, policies: string) {
  // Written above: JSON without null.
  const input = inputFor(request, bytes) as {
    subject: { roles: string[]; actorChain: string[] };
    resource: { destructive: boolean; upstream: string };
    context: Record<string, string | number | { amount: number; to: string }>;
    facts: Record<string, string | number>[];
  };
  return {
    principal: { type: "Agent", id: "agent-7" },
    action: { type: "Action", id: request.action },
    resource: { type: "Tool", id: request.tool },
    context: {
      ...input.context,
      roles: input.subject.roles,
      actorChain: input.subject.actorChain,
      tool: request.tool,
      destructive: input.resource.destructive,
      facts: input.facts,
    },
    preparsedPolicySetId: policies,
    entities: [],
    validateRequest: false,
  };
}

function measure(work: () => void, phases: typeof FULL): Timing {
  let calls = 0;
  const warmUntil = performance.now() + phases.warmMs;
  while (performance.now() < warmUntil) {
    for (let index = 0; index < 20; index += 1) work();
    calls += 20;
  }
  const perBatch = Math.max(20, Math.round((calls / phases.warmMs) * (phases.measureMs / BATCHES)));
  const times: number[] = [];
  const cpuTimes: number[] = [];
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const cpuBegin = process.cpuUsage();
    const begin = performance.now();
    for (let index = 0; index < perBatch; index += 1) work();
    times.push(((performance.now() - begin) * 1_000) / perBatch);
    const cpu = process.cpuUsage(cpuBegin);
    cpuTimes.push((cpu.user + cpu.system) / perBatch);
  }
  return { medianUs: median(times), fastestUs: Math.min(...times), cpuUs: median(cpuTimes) };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function cpuMs(begin: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1_000;
}

function heapKb(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed / 1_024;
}

function compileRego(name: string, text: string): { readonly program: Program; readonly row: CompileRow } {
  const heapBefore = heapKb();
  const begin = process.cpuUsage();
  const compiled = compile([{ file: `${name}.rego`, text }]);
  const compileMs = cpuMs(begin);
  if (compiled.kind === "problems") throw new TypeError(compiled.problems[0]?.message);
  const row = { policy: name, engine: "rego" as const, compileMs, heapKb: heapKb() - heapBefore };
  return { program: compiled.program, row };
}

function compileCedar(name: string, text: string): CompileRow {
  const begin = process.cpuUsage();
  const answer = cedar.preparsePolicySet(name, { staticPolicies: text });
  const compileMs = cpuMs(begin);
  if (answer.type === "failure") throw new TypeError(answer.errors[0]?.message);
  return { policy: name, engine: "cedar", compileMs, heapKb: undefined };
}

function measurePolicy(
  name: string,
  texts: { readonly rego: string; readonly cedar: string; readonly wasm?: Evaluator },
  request: Request,
  phases: typeof FULL,
): { readonly rows: Row[]; readonly compiled: CompileRow[] } {
  const { program, row } = compileRego(name, texts.rego);
  const compiled = [row, compileCedar(name, texts.cedar)];
  const rows = [512, 5_120].flatMap((bytes): Row[] => {
    const input = inputFor(request, bytes);
    const decideBy = (engine: Evaluator) => () => {
      const answer = engine.evaluate(QUERY, { input });
      if (answer.kind !== "value") throw new TypeError(`no decision: ${JSON.stringify(answer)}`);
      return answer.value as { readonly kind: string }; // what every rule gives
    };
    const decide = decideBy(program);
    const wasm = texts.wasm === undefined ? undefined : decideBy(texts.wasm);
    const call = cedarCall(request, bytes, name);
    const decideInCedar = () => {
      const answer = cedar.statefulIsAuthorized(call);
      if (answer.type === "failure") throw new TypeError(answer.errors[0]?.message);
      return answer.response.decision;
    };
    const kinds = [decide().kind, wasm?.().kind ?? "allow", decideInCedar()];
    if (kinds.some((kind) => kind !== "allow")) throw new TypeError(`${name} does not allow`);
    const inputKb = Math.round(JSON.stringify(input).length / 102.4) / 10;
    return [
      { policy: name, engine: "rego", inputKb, ...measure(decide, phases) },
      { policy: name, engine: "cedar", inputKb, ...measure(decideInCedar, phases) },
      ...(wasm === undefined ? [] : [{ policy: name, engine: "opa-wasm" as const, inputKb, ...measure(wasm, phases) }]),
    ];
  });
  return { rows, compiled };
}

async function main(): Promise<void> {
  const phases = process.argv.includes("--quick") ? QUICK : FULL;
  const json = process.argv.includes("--json");
  const rows: Row[] = [];
  const compiled: CompileRow[] = [];
  const add = (measured: ReturnType<typeof measurePolicy>) => {
    rows.push(...measured.rows);
    compiled.push(...measured.compiled);
  };
  // Once before, so that no compilation measured is the first of the process.
  compileRego("warm", GATEWAY_REGO);
  compileCedar("warm", GATEWAY_CEDAR);
  const loaded = await loadWasm(new Uint8Array(readFileSync(join(COMPILED, "gateway.wasm"))));
  if (loaded.kind === "fault") throw new TypeError(loaded.message);
  const gateway = { rego: GATEWAY_REGO, cedar: GATEWAY_CEDAR, wasm: loaded.program };
  add(measurePolicy("gateway, 10 rules", gateway, { action: "tool.call", tool: "transfer" }, phases));
  for (const count of RULE_COUNTS) {
    const index = Math.floor(count / 2);
    const texts = { rego: manyInRego(count), cedar: manyInCedar(count) };
    const request = { action: `action_${index % 7}`, tool: `tool_${index}` };
    add(measurePolicy(`indexed, ${count} rules`, texts, request, phases));
  }
  const rssMb = Math.round(process.memoryUsage().rss / 1_048_576);
  if (json) {
    process.stdout.write(`${JSON.stringify({ node: process.version, rows, compiled, rssMb })}\n`);
    return;
  }
  const cell = (value: number) => value.toFixed(1).padStart(9);
  process.stdout.write(`${"policy".padEnd(22)} ${"engine".padEnd(8)}  input kB  µs median  µs fastest     µs CPU\n`);
  for (const row of rows) {
    const [kb, typical, fastest, cpu] = [row.inputKb, row.medianUs, row.fastestUs, row.cpuUs].map(cell);
    process.stdout.write(`${row.policy.padEnd(22)} ${row.engine.padEnd(8)} ${kb}  ${typical}   ${fastest}  ${cpu}\n`);
  }
  process.stdout.write(`\n${"policy".padEnd(22)} ${"engine".padEnd(8)}  compile ms CPU  heap kB\n`);
  for (const row of compiled) {
    const heap = row.heapKb === undefined ? "        –" : cell(row.heapKb);
    process.stdout.write(`${row.policy.padEnd(22)} ${row.engine.padEnd(8)}       ${cell(row.compileMs)}${heap}\n`);
  }
  process.stdout.write(`\nNode ${process.version}, ${rssMb} MB resident in all\n`);
}

await main();

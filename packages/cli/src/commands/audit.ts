/** `writ audit`: the log. verify works on an export without any server as well. */
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { type ExportVerdict, isOriginOf, parseCheckpoint, verifyExport, verifyNote } from "@writ/audit/verify";
import { EVENTS, nearestName } from "@writ/contract";
import type { AdminAnswer, AdminOperations, AuditEventView, LogRecoverAnswer } from "@writ/contract/admin";
import type { AdminClient } from "@writ/sdk/admin";
import type { AdminSession } from "../admin-session.ts";
import { type AdminOptions, openAdminSession } from "../admin-session.ts";
import type { CliContext } from "../cli-context.ts";
import { adminOptions, defineAdminCommand, defineCommand, defineGroup, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { EXIT, refused } from "../exit-codes.ts";
import { openPrivateFile, openTextFile } from "../files.ts";
import { formatFields, printable } from "../format-table.ts";
import { readCheckpoints } from "../read-checkpoints.ts";
import { readCount, readMany } from "../read-values.ts";

const PAGE = 500;
const FOLLOW_EVERY_MS = 500;
const EXPORT_TIMEOUT_MS = 3_600_000;
const FINDINGS_SHOWN = 20;

const INSTANCE = () => option("--instance", "the instance's own log instead of a tenant's");

interface LogOptions {
  readonly instance?: boolean;
}

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "audit", "The audit log: what was decided, done and administered.");
  defineAdminCommand<TailOptions>(group, context, {
    usage: "tail",
    summary: "Print the last events.",
    options: [
      option("-f, --follow", "go on with what comes, until interrupted"),
      option("-n, --lines <count>", "how many").argParser(readCount(0, 10_000)).default(20),
      INSTANCE(),
    ],
    run: tail,
  });
  defineAdminCommand<QueryOptions>(group, context, {
    usage: "query",
    summary: "Print events in their order.",
    options: [
      option("--event <name>", "only events of this name, such as call.decided"),
      option("--call-id <id>", "only events of this call"),
      option("--after <sequence>", "only events after this one").argParser(readCount(0)),
      option("--limit <count>", "how many").argParser(readCount(1, 100_000)).default(100),
      option("--epoch <epoch>", "of an earlier epoch of the log").argParser(readCount(0)),
      INSTANCE(),
    ],
    run: query,
  });
  defineCommand<AdminOptions & OfflineOptions & VerifyOptions>(group, context, {
    usage: "verify",
    summary:
      "Verify the log: at the control plane, or an export by yourself with --file. Exits with 1 when it is damaged.",
    options: [
      option("--full", "from the first entry instead of the last that was verified"),
      option("--epoch <epoch>", "an earlier epoch of the log, from its first entry").argParser(readCount(1)),
      INSTANCE(),
      option("--file <export>", "an export, verified here without any server"),
      option("--checkpoints <file>", "with --file: checkpoints that you have from elsewhere"),
      option("--key <vkey>", "with --file: a verifier key that you trust; may be repeated").argParser(readMany),
      ...adminOptions(),
    ],
    async run(_args, options) {
      if (options.file !== undefined) {
        if (options.instance === true) throw refused("--file names an export, which says itself whose log it is.");
        return verifyFile(context, options.file, options);
      }
      if (options.checkpoints !== undefined || options.key !== undefined) {
        throw refused("--checkpoints and --key are for an export: name it with --file.");
      }
      return verifyOnline(await openAdminSession(context, options), options);
    },
  });
  defineAdminCommand<ExportOptions>(group, context, {
    usage: "export",
    summary: "Export the log as NDJSON with what is needed to check it.",
    options: [
      option("--out <file>", "where to; standard output when left out"),
      option("--epoch <epoch>", "the epoch of the log").argParser(readCount(0)),
      INSTANCE(),
    ],
    run: exportTo,
  });
  defineAdminCommand<RecoverOptions>(group, context, {
    usage: "recover",
    summary: "Open a new epoch of the log after a restore, with the kill switch engaged.",
    options: [
      option("--reason <text>", "why, for the log").makeOptionMandatory(),
      INSTANCE(),
      option("--all", "the instance's log and every tenant's"),
      option("--epoch-after <epoch>", "an epoch that a gateway says it has seen").argParser(readCount(1)),
    ],
    run: recover,
  });
  defineAdminCommand<LogOptions>(group, context, {
    usage: "checkpoints",
    summary: "Print the signed checkpoints of the log.",
    options: [INSTANCE()],
    async run(session, _args, options) {
      const { show } = session;
      const page = await nameLog(session, options).checkpoints();
      await show(page, () =>
        page.items.length === 0 ? "There are none yet.\n" : page.items.map(({ note }) => `${note}\n`).join(""),
      );
    },
  });
};

type QueryOf<K extends "events" | "verify" | "export"> = AdminOperations[`audit.${K}`]["query"];

/** The reading operations of one log: a tenant's, or the instance's own. */
interface NamedLog {
  events(query: QueryOf<"events">): Promise<AdminAnswer<"audit.events">>;
  verify(query: QueryOf<"verify">): Promise<AdminAnswer<"audit.verify">>;
  export(query: QueryOf<"export">): Promise<AdminAnswer<"audit.export">>;
  checkpoints(): Promise<AdminAnswer<"audit.checkpoints">>;
}

function nameLog({ client, tenant }: AdminSession, { instance = false }: LogOptions): NamedLog {
  // Both read the log to its end before they have answered.
  const whole = { timeoutMs: EXPORT_TIMEOUT_MS };
  if (instance) {
    return {
      events: (query) => client.call("instance.audit.events", { query }),
      verify: (query) => client.call("instance.audit.verify", { query }, whole),
      export: (query) => client.call("instance.audit.export", { query }, whole),
      checkpoints: () => client.call("instance.audit.checkpoints"),
    };
  }
  const params = { tenant };
  return {
    events: (query) => client.call("audit.events", { params, query }),
    verify: (query) => client.call("audit.verify", { params, query }, whole),
    export: (query) => client.call("audit.export", { params, query }, whole),
    checkpoints: () => client.call("audit.checkpoints", { params }),
  };
}

/** One log whose new epoch was opened; the instance's has no tenant. */
interface Recovered extends LogRecoverAnswer {
  readonly tenant?: string;
}

interface RecoverOptions extends LogOptions {
  readonly reason: string;
  readonly epochAfter?: number;
  readonly all?: boolean;
}

/** Each log has its own epochs; those before one that fails are open, and opening another one is harmless. */
async function recover(
  { client, tenant, show }: AdminSession,
  _args: readonly (string | undefined)[],
  { reason, epochAfter, instance = false, all = false }: RecoverOptions,
): Promise<void> {
  if (instance && all) throw refused("--all recovers the instance's log as well: leave --instance out.");
  const body = { reason, ...(epochAfter === undefined ? {} : { epochAfter }) };
  const recovered: Recovered[] = [];
  if (instance || all) {
    recovered.push({ ...(await client.call("instance.log.recover", { body })) });
  }
  if (!instance) {
    for (const name of all ? await tenantNames(client) : [tenant]) {
      recovered.push({ tenant: name, ...(await client.call("log.recover", { params: { tenant: name }, body })) });
    }
  }
  await show({ items: recovered }, () =>
    recovered
      .map(({ tenant: name, epoch, previousEpoch, previousSequence }) => {
        const scope = name === undefined ? "instance" : `tenant --tenant ${name}`;
        return printable(
          `Opened epoch ${epoch} of ${name ?? "the instance"}; epoch ${previousEpoch} ended at entry ${previousSequence}. ` +
            `No call is allowed until: writ kill release ${scope}`,
        );
      })
      .join("\n")
      .concat("\n"),
  );
}

async function tenantNames(client: AdminClient): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { name } of client.pages("tenants.list", { query: {} })) names.push(name);
  return names;
}

interface TailOptions extends LogOptions {
  readonly follow?: boolean;
  readonly lines: number;
}

async function tail(
  session: AdminSession,
  _args: readonly (string | undefined)[],
  options: TailOptions,
): Promise<void> {
  const { follow, lines } = options;
  const log = nameLog(session, options);
  const { items: checkpoints } = await log.checkpoints();
  // The end of the log is not asked for but found: from the last checkpoint on, which is at most some seconds old.
  let after = Math.max(0, (checkpoints.at(-1)?.size ?? 0) - lines);
  let last: AuditEventView[] = [];
  for (;;) {
    const page = await log.events({ after, limit: PAGE });
    last = [...last, ...page.items].slice(-Math.max(lines, 1));
    after = page.items.at(-1)?.sequence ?? after;
    if (page.items.length < PAGE) break;
  }
  if (lines > 0) for (const event of last) await printEvent(session, event);
  while (follow === true) {
    const page = await log.events({ after, limit: PAGE });
    for (const event of page.items) await printEvent(session, event);
    after = page.items.at(-1)?.sequence ?? after;
    if (page.items.length < PAGE) await wait(FOLLOW_EVERY_MS);
  }
}

interface QueryOptions extends LogOptions {
  readonly after?: number;
  readonly limit: number;
  readonly epoch?: number;
  readonly event?: string;
  readonly callId?: string;
}

async function query(
  session: AdminSession,
  _args: readonly (string | undefined)[],
  options: QueryOptions,
): Promise<void> {
  const log = nameLog(session, options);
  const { limit, epoch, event: name, callId } = options;
  if (name !== undefined && !Object.hasOwn(EVENTS, name)) {
    const nearest = nearestName(name, Object.keys(EVENTS));
    throw refused(`There is no event ${name}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`);
  }
  const filter = {
    ...(epoch === undefined ? {} : { epoch }),
    ...(name === undefined ? {} : { event: name }),
    ...(callId === undefined ? {} : { callId }),
  };
  let printed = 0;
  let after = options.after;
  while (printed < limit) {
    const page = await log.events({
      ...filter,
      ...(after === undefined ? {} : { after }),
      limit: Math.min(PAGE, limit - printed),
    });
    for (const event of page.items) await printEvent(session, event);
    printed += page.items.length;
    // A page with a filter may be empty and yet not be the last.
    if (page.next === undefined) break;
    after = Number(page.next);
  }
  if (printed === 0) session.context.note("There are none.\n");
}

/** A line for each event: for programs the view, for people its place, time, name and what it says. */
async function printEvent({ context, json }: AdminSession, view: AuditEventView): Promise<void> {
  await context.out(json ? `${JSON.stringify(view)}\n` : formatEvent(view));
}

/** What every event has; the rest is its own. */
const ENVELOPE = new Set(["v", "event", "id", "time", "tenant"]);

/** Exported for its tests. */
export function formatEvent({ sequence, committedAtMs, event }: AuditEventView): string {
  const fields = Object.entries(event)
    .filter(([name]) => !ENVELOPE.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const time = new Date(committedAtMs).toISOString();
  const name = String(event["event"]);
  return `${printable([String(sequence).padStart(6), time, name.padEnd(16), ...fields].join("  "))}\n`;
}

interface VerifyOptions extends LogOptions {
  readonly full?: boolean;
  readonly epoch?: number;
}

async function verifyOnline(session: AdminSession, options: VerifyOptions): Promise<number> {
  const { full = false, epoch } = options;
  const answer = await nameLog(session, options).verify({ full, ...(epoch === undefined ? {} : { epoch }) });
  await session.show(answer, () => {
    const checked = answer.size === 0 ? "none" : `${answer.fromSequence} to ${answer.toSequence} of ${answer.size}`;
    return (
      formatFields([
        ["log", answer.status],
        ["entries checked", checked],
        ["checkpoints agreed", answer.checkpointsChecked],
        ["epoch", answer.epoch],
        ...(answer.lostThrough === undefined
          ? []
          : ([["lost in a restore", `entries ${answer.size + 1} to ${answer.lostThrough}`]] as const)),
        ["hash", answer.hash],
        ["root", answer.root],
      ]) + formatFindings(answer.findings)
    );
  });
  return answer.status === "intact" ? EXIT.ok : EXIT.no;
}

function formatFindings(
  findings: readonly {
    readonly kind: string;
    readonly sequence: number;
    readonly through?: number;
    readonly detail: string;
  }[],
): string {
  const lines = findings.slice(0, FINDINGS_SHOWN).map(({ kind, sequence, through, detail }) => {
    const place = through === undefined ? `entry ${sequence}` : `entries ${sequence} to ${through}`;
    return `  ${kind} at ${place}: ${printable(detail)}\n`;
  });
  const more = findings.length - lines.length;
  return lines.join("") + (more > 0 ? `  and ${more} more\n` : "");
}

interface OfflineOptions {
  readonly file?: string;
  readonly checkpoints?: string;
  readonly key?: readonly string[];
  readonly json?: boolean;
}

async function verifyFile(context: CliContext, file: string, options: OfflineOptions): Promise<number> {
  const notes = options.checkpoints === undefined ? [] : await readCheckpoints(context, options.checkpoints);
  checkKeys(options.key ?? []);
  const handle = await openTextFile(context, file, "export");
  const lines = createInterface({
    input: handle.createReadStream({ encoding: "utf8" }),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  const verdict = await verifyExport(countLines(context, lines), {
    ...(options.key === undefined ? {} : { verifierKeys: options.key }),
    checkpoints: notes,
  });
  await context.out(options.json === true ? `${JSON.stringify(verdict)}\n` : formatVerdict(verdict));
  if (options.checkpoints !== undefined && !notes.some((note) => isAbout(note, verdict))) {
    const log = verdict.tenantId === "" ? "" : ` (tenant ${verdict.tenantId}, epoch ${verdict.epoch})`;
    const unrelated = `No checkpoint in ${options.checkpoints} is of this log${log}, so that nothing was compared with it.`;
    if (verdict.verdict.kind === "intact") throw refused(unrelated);
    // Damage says more than a file that was mistaken for another.
    context.note(`writ: ${unrelated}\n`);
  }
  return verdict.verdict.kind === "intact" ? EXIT.ok : EXIT.no;
}

function isAbout(note: string, log: ExportVerdict): boolean {
  const reading = parseCheckpoint(note);
  return reading.kind === "read" && isOriginOf(reading.unverifiedCheckpoint.origin, log);
}

/** A key that cannot be read is a mistake of whoever typed it, and not damage. */
function checkKeys(keys: readonly string[]): void {
  for (const key of keys) {
    try {
      verifyNote("", key);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw refused(`--key: ${key} is no verifier key; one looks like name+hash+base64 (${error.message}).`);
    }
  }
}

const PROGRESS_EVERY = 50_000;

async function* countLines(context: CliContext, lines: AsyncIterable<string>): AsyncGenerator<string> {
  let count = 0;
  for await (const line of lines) {
    count += 1;
    if (count % PROGRESS_EVERY === 0 && context.terminal.error) context.note(`\r${count} lines`);
    yield line;
  }
  if (count >= PROGRESS_EVERY && context.terminal.error) context.note("\r");
}

/** Exported for its tests. */
export function formatVerdict({ verdict, trust, start, tenantId, epoch }: ExportVerdict): string {
  const { coverage } = verdict;
  const lines = formatFields([
    ["log", verdict.kind],
    ["tenant", tenantId],
    ["epoch", epoch],
    ["entries", coverage.entries],
    ["checkpoints agreed", coverage.checkpointsAgreed],
    ["checkpointed through", coverage.checkpointedThrough],
    ["starts at", start],
    ["keys from", trust === "caller" ? "you" : "the export itself"],
  ]);
  const remark =
    trust === "caller"
      ? ""
      : "Without --key this shows only that the export agrees with itself: whoever wrote it may have signed it.\n";
  const findings =
    verdict.kind === "damaged" ? verdict.findings.map(({ damage, ...finding }) => ({ kind: damage, ...finding })) : [];
  return lines + formatFindings(findings) + remark;
}

interface ExportOptions extends LogOptions {
  readonly out?: string;
  readonly epoch?: number;
}

async function exportTo(
  session: AdminSession,
  _args: readonly (string | undefined)[],
  options: ExportOptions,
): Promise<void> {
  const { context } = session;
  const { out, epoch } = options;
  const body = await nameLog(session, options).export(epoch === undefined ? {} : { epoch });
  // Behind the request: one that is refused leaves what is there.
  const file =
    out === undefined
      ? undefined
      : await openPrivateFile(context, out).catch(async (error: unknown) => {
          // A log that nobody reads keeps its connection, and so this process, for as long as the server waits.
          await body.cancel();
          throw error;
        });
  let bytes = 0;
  const progress = context.terminal.error && file !== undefined;
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (progress) context.note(`\r${Math.round(bytes / 1024)} KiB`);
      yield chunk;
    }
  };
  if (file === undefined || out === undefined) {
    for await (const chunk of chunks()) await context.out(chunk);
    return;
  }
  await pipeline(Readable.from(chunks()), file.createWriteStream());
  context.note(`${progress ? "\r" : ""}Exported ${bytes} bytes to ${resolve(context.directory, out)}.\n`);
}

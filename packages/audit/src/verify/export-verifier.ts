/**
 * Verifies an exported log: reads the NDJSON of docs/log-format.md line by line, in constant memory, and hands its
 * entries to the log verifier. A line has one spelling; any other is a finding, so that no two readers of an export
 * can see different logs in it.
 */
import { isOriginOf } from "./checkpoint.ts";
import { createCheckpointSelection } from "./checkpoint-selection.ts";
import type { LogEntry } from "./diagnose.ts";
import { FINDINGS_MAX, type Finding } from "./findings.ts";
import { readTree } from "./link.ts";
import {
  type Coverage,
  createLogVerifier,
  type LogVerdict,
  type LogVerifier,
  type LogVerifierOptions,
} from "./log-verifier.ts";

/** Longest line, in UTF-16 code units: an event of the greatest length with every character escaped. */
export const EXPORT_LINE_CHARACTERS_MAX = 2_097_152;

export interface ExportTrust {
  /**
   * Keys that the caller has from elsewhere. Without them the export's own keys are used, which shows only that the
   * export agrees with itself: whoever wrote it may have signed it with any key.
   */
  readonly verifierKeys?: readonly string[];
  /** Checkpoints that the caller has from elsewhere, besides those in the export. They displace none in it, nor those them. */
  readonly checkpoints?: readonly string[];
  readonly chainKeys?: LogVerifierOptions["chainKeys"];
  readonly sealGapMax?: number;
  /** When given, the export must be of this log. */
  readonly tenantId?: string;
  readonly epoch?: number;
}

export interface ExportVerdict {
  readonly verdict: LogVerdict;
  /** Where the keys came from that the checkpoints were verified with. */
  readonly trust: "caller" | "self_asserted";
  /** The first entry of the export is 1, or a checkpoint vouches for the position that it starts after. */
  readonly start: "genesis" | "vouched" | "self_asserted";
  readonly tenantId: string;
  readonly epoch: number;
}

/**
 * Verifies an export: a header, checkpoints, entries and a footer, in this order, one JSON object a line. `lines` come
 * without their newline. Throws a TypeError only when the caller's own keys cannot be used.
 */
export async function verifyExport(lines: AsyncIterable<string>, trust: ExportTrust = {}): Promise<ExportVerdict> {
  const malformed: Finding[] = [];
  const refuse = (sequence: number, detail: string): void => {
    if (malformed.length < FINDINGS_MAX) malformed.push({ damage: "malformed", sequence, detail });
  };
  const enclosed: SelectionByLog = createSelectionByLog();
  let header: ExportHeader | undefined;
  let verifier: LogVerifier | undefined;
  let footer: ExportFooter | undefined;
  let sequence = 0;
  let otherLog = false;
  for await (const line of lines) {
    if (header === undefined) {
      header = readHeader(line);
      if (header === undefined) break;
      sequence = header.from?.sequence ?? 0;
      if ((trust.tenantId ?? header.tenantId) !== header.tenantId || (trust.epoch ?? header.epoch) !== header.epoch) {
        otherLog = true;
        break;
      }
    } else if (footer !== undefined) {
      refuse(sequence + 1, "something follows the footer");
      break;
    } else if (line.startsWith('{"checkpoint":') && verifier === undefined) {
      const note = readLine(line)?.["checkpoint"];
      if (typeof note === "string") enclosed.add(note, header);
      else refuse(sequence + 1, "a line is no checkpoint in its one spelling");
    } else if (line.startsWith('{"head":')) {
      footer = readFooter(line);
      if (footer === undefined) refuse(sequence + 1, "the footer cannot be read");
    } else {
      verifier ??= open(header);
      const entry = readEntry(line);
      if (entry === undefined) {
        refuse(sequence + 1, "a line is no entry in its one spelling");
        continue;
      }
      sequence = entry.sequence;
      verifier.add(entry);
    }
  }
  const described = {
    trust: trust.verifierKeys === undefined ? ("self_asserted" as const) : ("caller" as const),
    tenantId: header?.tenantId ?? "",
    epoch: header?.epoch ?? 0,
  };
  if (header === undefined || otherLog) {
    refuse(1, otherLog ? "the export is of another log than was asked for" : "the first line is no header");
    return { ...described, start: "self_asserted", verdict: damaged(undefined, malformed) };
  }
  const verdict = (verifier ?? open(header)).end(footer?.head);
  if (footer === undefined) {
    malformed.push({ damage: "truncated", sequence: sequence + 1, detail: "the export has no footer" });
  }
  const start = header.from === undefined ? "genesis" : verdict.coverage.startVouched ? "vouched" : "self_asserted";
  return { ...described, start, verdict: malformed.length === 0 ? verdict : damaged(verdict, malformed) };

  function open({ tenantId, epoch, from, verifierKeys }: ExportHeader): LogVerifier {
    const given = createSelectionByLog();
    for (const note of trust.checkpoints ?? []) given.add(note, { tenantId, epoch });
    const common = {
      tenantId,
      epoch,
      checkpoints: [...given.notes(), ...enclosed.notes()],
      ...(from === undefined ? {} : { from }),
      ...(trust.chainKeys === undefined ? {} : { chainKeys: trust.chainKeys }),
      ...(trust.sealGapMax === undefined ? {} : { sealGapMax: trust.sealGapMax }),
    };
    if (trust.verifierKeys !== undefined) return createLogVerifier({ ...common, verifierKeys: trust.verifierKeys });
    try {
      return createLogVerifier({ ...common, verifierKeys });
    } catch (cause) {
      // All else was checked when it was read, so this is a key in the header that is none: a fault of the export.
      if (!(cause instanceof TypeError)) throw cause;
      refuse(1, `a key in the header cannot be used: ${cause.message}`);
      return createLogVerifier({ ...common, checkpoints: [], verifierKeys: [] });
    }
  }
}

interface SelectionByLog {
  add(note: string, log: { readonly tenantId: string; readonly epoch: number }): void;
  notes(): readonly string[];
}

/** Those of the log in question, and beside them those of other logs, which are only counted. */
function createSelectionByLog(): SelectionByLog {
  const own = createCheckpointSelection();
  const others = createCheckpointSelection();
  return {
    add(note, log) {
      (isOriginOf(note.slice(0, note.indexOf("\n")), log) ? own : others).add(note);
    },
    notes: () => [...own.notes(), ...others.notes()],
  };
}

function damaged(verdict: LogVerdict | undefined, extra: readonly Finding[]): LogVerdict {
  const findings = [...(verdict?.kind === "damaged" ? verdict.findings : []), ...extra];
  findings.sort((one, other) => one.sequence - other.sequence);
  const findingsOmitted = verdict?.kind === "damaged" ? verdict.findingsOmitted : 0;
  return { kind: "damaged", findings, findingsOmitted, coverage: verdict?.coverage ?? NO_COVERAGE };
}

const NO_COVERAGE: Coverage = {
  entries: 0,
  startVouched: false,
  checkpointsAgreed: 0,
  checkpointsUnchecked: 0,
  checkpointedThrough: 0,
  sealsAgreed: 0,
  sealsUnchecked: 0,
  sealedThrough: 0,
};

interface ExportHeader {
  readonly tenantId: string;
  readonly epoch: number;
  readonly from: { readonly sequence: number; readonly hash: Buffer; readonly frontier: Buffer } | undefined;
  readonly verifierKeys: readonly string[];
}

interface ExportFooter {
  readonly head: { readonly sequence: number; readonly hash: Buffer; readonly root: Buffer };
}

function readHeader(line: string): ExportHeader | undefined {
  const value = readLine(line);
  if (value === undefined || value["format"] !== "writ-log" || value["version"] !== 1) return undefined;
  const { tenantId, epoch, from, origin, verifierKeys } = value;
  if (typeof tenantId !== "string" || !UUID.test(tenantId) || !isCount(epoch) || typeof origin !== "string")
    return undefined;
  if (!isStrings(verifierKeys)) return undefined;
  if (from === undefined) return { tenantId, epoch, from, verifierKeys };
  if (!isRecord(from) || !isCount(from["sequence"]) || !isHex(from["hash"], 64) || !isHex(from["frontier"]))
    return undefined;
  const position = { sequence: from["sequence"], hash: hex(from["hash"]), frontier: hex(from["frontier"]) };
  if (readTree(position.frontier, position.sequence) === undefined) return undefined;
  return { tenantId, epoch, from: position, verifierKeys };
}

function readFooter(line: string): ExportFooter | undefined {
  const head = readLine(line)?.["head"];
  if (!isRecord(head)) return undefined;
  const { sequence, hash, root } = head;
  if (!isCount(sequence) || !isHex(hash, 64) || !isHex(root, 64)) return undefined;
  return { head: { sequence, hash: hex(hash), root: hex(root) } };
}

const ENTRY_START =
  /^\{"sequence":([1-9]\d{0,15}),"committedAtMicros":"(0|[1-9]\d{0,18})","hash":"([0-9a-f]{64})","event":/;

/** A string that parses and whose backslashes all stand before quotes has one spelling; printing others tells. */
const ODD_ESCAPE = /\\[^"]/;

/** An entry in its one spelling: the members of the format in its order, and no other. */
function readEntry(line: string): LogEntry | undefined {
  if (line.length > EXPORT_LINE_CHARACTERS_MAX) return undefined;
  const [start, sequence, committedAtMicros, hash] = ENTRY_START.exec(line) ?? [];
  if (start === undefined || sequence === undefined || committedAtMicros === undefined || hash === undefined)
    return undefined;
  const quoted = line.slice(start.length, -1);
  const event = line.endsWith('"}') ? readJson(quoted) : undefined;
  if (typeof event !== "string" || (ODD_ESCAPE.test(quoted) && JSON.stringify(event) !== quoted)) return undefined;
  return { sequence: Number(sequence), committedAtMicros: BigInt(committedAtMicros), hash: hex(hash), event };
}

/** The object on a line, when printing it gives the line again: no spaces, no duplicate names, one kind of escape. */
function readLine(line: string): Record<string, unknown> | undefined {
  if (line.length > EXPORT_LINE_CHARACTERS_MAX) return undefined;
  const value = readJson(line);
  return isRecord(value) && JSON.stringify(value) === line ? value : undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is a fault of the export, which the caller names.
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isHex(value: unknown, length?: number): value is string {
  return (
    typeof value === "string" && /^([0-9a-f]{2})*$/.test(value) && (length === undefined || value.length === length)
  );
}

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

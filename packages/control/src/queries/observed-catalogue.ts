/** What a gateway saw of an upstream's catalogue. Waits for it, with nothing locked, and reads it; decides nothing. */
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { JsonObject } from "@writ/contract";
import { canonicalDefinition, canonicalInstructions } from "@writ/core";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import type { Queries } from "../store/control-store.ts";

export interface ObservedTool {
  readonly name: string;
  /** Byte for byte as the upstream gave it. */
  readonly definition: string;
  /** SHA-256 (hex) of its canonical form. */
  readonly digest: string;
  readonly value: JsonObject;
}

export interface ObservedCatalogue {
  readonly observedAtMs: number;
  /** By name. */
  readonly tools: readonly ObservedTool[];
  /** JSON text. */
  readonly instructions: string;
  readonly instructionsDigest: string;
}

/**
 * How long a command waits for a gateway to report the catalogue: longer than a gateway waits for a server to start, so
 * that what is said then is what kept it.
 */
const OBSERVATION_WAIT_MS = 25_000;
const OBSERVATION_POLL_MS = 200;
const TOOLS_MAX = 2_000;
const DEFINITION_CHARACTERS_MAX = 262_144;
const INSTRUCTIONS_CHARACTERS_MAX = 65_536;

interface ObservationRow extends Record<string, unknown> {
  readonly observed_ms: number;
  readonly status: string;
  readonly detail: string;
  readonly tools: string;
  readonly instructions: string;
  readonly served: number;
}

/**
 * The catalogue as a gateway reads it after this call, or, when `fresh` is not asked for, as it was read last. Problem
 * `catalogue_unseen`; `draining` when `signal` ends the wait.
 */
export async function awaitCatalogue(
  context: ControlContext,
  wanted: {
    readonly tenantId: string;
    readonly upstreamId: string;
    readonly fresh: boolean;
    readonly signal: AbortSignal;
  },
): Promise<ObservedCatalogue> {
  const { tenantId, upstreamId, fresh, signal } = wanted;
  // An upstream that was never read is read soon, and nothing needs to be asked for.
  const reading = fresh ? await context.store.wantReading(tenantId, upstreamId) : 0;
  const polls = Math.ceil(OBSERVATION_WAIT_MS / OBSERVATION_POLL_MS);
  let last: ObservationRow | undefined;
  for (let poll = 0; poll <= polls; poll += 1) {
    if (poll > 0) await pause(OBSERVATION_POLL_MS, undefined, { signal }).catch(() => undefined); // said in the next line
    if (signal.aborted) throw new Problem("draining", "The control plane is stopping.");
    last = await context.store.read([tenantId], (transaction) => selectRow(transaction, tenantId, upstreamId));
    if (last === undefined || last.served < reading) continue;
    if (last.status === "ok") return readCatalogue(last);
    if (reading > 0) break;
  }
  throw new Problem(
    "catalogue_unseen",
    last === undefined
      ? "No gateway has reported this upstream's catalogue yet: none is running, or its server is still starting."
      : last.status === "ok"
        ? "No gateway has read this upstream's catalogue in time: none is running, or its server is still starting."
        : `The gateway could not read the upstream's catalogue: ${last.status}${last.detail === "" ? "" : ` (${last.detail})`}`,
  );
}

/** A change of the transport removes the observation with it, so what is here was seen after that. */
async function selectRow(
  transaction: Queries,
  tenantId: string,
  upstreamId: string,
): Promise<ObservationRow | undefined> {
  const rows = await transaction.query<ObservationRow>(
    `SELECT observed_ms, status, detail, tools, instructions, served FROM catalogue_observation
      WHERE tenant_id = $1 AND upstream_id = $2`,
    [tenantId, upstreamId],
  );
  return rows[0];
}

function readCatalogue(row: ObservationRow): ObservedCatalogue {
  if (row.instructions.length > INSTRUCTIONS_CHARACTERS_MAX) {
    throw new Problem("state_conflict", "The upstream's instructions are too long to be pinned.");
  }
  return {
    observedAtMs: row.observed_ms,
    tools: readTools(row.tools),
    instructions: row.instructions,
    instructionsDigest: sha256(canonicalInstructions(row.instructions)),
  };
}

function readTools(text: string): readonly ObservedTool[] {
  // The gateway wrote this column; a definition in it is the upstream's own text, so every part is checked.
  const definitions: unknown = JSON.parse(text);
  if (!Array.isArray(definitions)) throw new Problem("catalogue_unseen", "The observed catalogue cannot be read.");
  if (definitions.length > TOOLS_MAX)
    throw new Problem("state_conflict", `The upstream has more than ${TOOLS_MAX} tools.`);
  const tools = new Map<string, ObservedTool>();
  for (const definition of definitions as unknown[]) {
    if (typeof definition !== "string" || definition.length > DEFINITION_CHARACTERS_MAX) {
      throw new Problem("state_conflict", "A tool's definition is too large to be pinned.");
    }
    const read = canonicalDefinition(definition);
    if (read.kind === "unreadable") {
      throw new Problem("state_conflict", `A tool's definition cannot be pinned: ${read.detail}.`);
    }
    const { name, value } = read;
    if (tools.has(name)) throw new Problem("state_conflict", "The upstream lists two tools of one name.");
    tools.set(name, { name, definition, digest: sha256(read.text), value });
  }
  return [...tools.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

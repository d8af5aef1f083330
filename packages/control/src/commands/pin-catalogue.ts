/**
 * Pins the tools of an upstream: what the gateway saw becomes what may be called. Waits, with nothing locked, for an
 * observation of the upstream as it is now; then one transaction puts every tool and its event.
 */

import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { parseStrictJsonText } from "@writ/contract";
import type { PinAnswer, ToolChange } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { readNamedObject } from "../queries/read-objects.ts";
import type { Queries } from "../store/control-store.ts";
import { requireTarget } from "./change-object.ts";

/** How long a pin waits for a gateway to report the catalogue. */
const OBSERVATION_WAIT_MS = 15_000;
const OBSERVATION_POLL_MS = 200;
const TOOLS_MAX = 2_000;
const DEFINITION_CHARACTERS_MAX = 262_144;

interface Observation extends Record<string, unknown> {
  readonly observed_ms: number;
  readonly status: string;
  readonly detail: string;
  readonly tools: string;
}

/** Problem `draining` when `signal` ends the wait for an observation. */
export async function pinCatalogue(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  signal: AbortSignal = context.stopping,
): Promise<PinAnswer> {
  const upstream = await readNamedObject(context, tenantId, "upstream", reference);
  const observation = await awaitObservation(context, { tenantId, upstreamId: upstream.id, signal });
  const seen = readTools(observation.tools);
  return context.store.command(actor, tenantId, async (transaction) => {
    await requireTarget(transaction, "upstream", upstream.id);
    const name = upstream.value.name;
    const pinned = new Map(
      (await transaction.find("tool", { member: "upstream", equals: name })).map((tool) => [tool.value.name, tool]),
    );
    const tools: { name: string; digest: string; change: ToolChange }[] = [];
    for (const tool of seen) {
      const before = pinned.get(tool.name);
      pinned.delete(tool.name);
      if (before !== undefined && before.value.digest === tool.digest && before.value.status === "active") {
        tools.push({ name: tool.name, digest: tool.digest, change: "unchanged" });
        continue;
      }
      await transaction.put(
        "tool",
        `${name}/${tool.name}`,
        { upstream: name, ...tool, status: "active" },
        before?.version ?? 0,
      );
      tools.push({ name: tool.name, digest: tool.digest, change: before === undefined ? "added" : "changed" });
    }
    for (const tool of pinned.values()) {
      await transaction.remove("tool", tool.id, tool.version);
      tools.push({ name: tool.value.name, digest: tool.value.digest, change: "removed" });
    }
    const digest = digestOf(seen.map((tool) => `${tool.name.length}:${tool.name}${tool.digest}`).join(""));
    transaction.record("catalogue.pinned", { version: upstream.version, upstream: name, tools: seen.length, digest });
    return { upstream: name, tools, digest, observedAtMs: observation.observed_ms };
  });
}

async function awaitObservation(
  context: ControlContext,
  wanted: { readonly tenantId: string; readonly upstreamId: string; readonly signal: AbortSignal },
): Promise<Observation> {
  const { tenantId, upstreamId, signal } = wanted;
  const polls = Math.ceil(OBSERVATION_WAIT_MS / OBSERVATION_POLL_MS);
  let last: Observation | undefined;
  for (let poll = 0; poll <= polls; poll += 1) {
    if (poll > 0) await pause(OBSERVATION_POLL_MS, undefined, { signal }).catch(() => undefined); // said in the next line
    if (signal.aborted) throw new Problem("draining", "The control plane is stopping.");
    last = await context.store.read([tenantId], (transaction) => selectObservation(transaction, tenantId, upstreamId));
    if (last?.status === "ok") return last;
  }
  throw new Problem(
    "catalogue_unseen",
    last === undefined
      ? "No gateway has reported this upstream's catalogue; is one running?"
      : `The gateway could not read the upstream's catalogue: ${last.status}${last.detail === "" ? "" : ` (${last.detail})`}`,
  );
}

/** A change of the transport removes the observation with it, so what is here was seen after that. */
async function selectObservation(
  transaction: Queries,
  tenantId: string,
  upstreamId: string,
): Promise<Observation | undefined> {
  const rows = await transaction.query<Observation>(
    `SELECT observed_ms, status, detail, tools FROM catalogue_observation
      WHERE tenant_id = $1 AND upstream_id = $2`,
    [tenantId, upstreamId],
  );
  return rows[0];
}

function readTools(text: string): readonly { name: string; definition: string; digest: string }[] {
  // The gateway wrote this column; a definition in it is the upstream's own text, so every part is checked.
  const definitions: unknown = JSON.parse(text);
  if (!Array.isArray(definitions)) throw new Problem("catalogue_unseen", "The observed catalogue cannot be read.");
  if (definitions.length > TOOLS_MAX)
    throw new Problem("state_conflict", `The upstream has more than ${TOOLS_MAX} tools.`);
  const tools = new Map<string, { name: string; definition: string; digest: string }>();
  for (const definition of definitions as unknown[]) {
    if (typeof definition !== "string" || definition.length > DEFINITION_CHARACTERS_MAX) {
      throw new Problem("state_conflict", "A tool's definition is too large to be pinned.");
    }
    const read = parseStrictJsonText(definition);
    const value = read.kind === "value" ? read.value : undefined;
    const name =
      typeof value === "object" && value !== null && "name" in value
        ? (value as Record<string, unknown>)["name"]
        : undefined;
    if (typeof name !== "string" || name === "" || name.length > 256) {
      throw new Problem("state_conflict", "A tool's definition has no name that can be pinned.");
    }
    if (tools.has(name)) throw new Problem("state_conflict", `The upstream lists two tools of one name.`);
    tools.set(name, { name, definition, digest: digestOf(definition) });
  }
  return [...tools.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function digestOf(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

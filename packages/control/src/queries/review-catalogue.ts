/**
 * Puts what a gateway read of an upstream beside what is pinned of it: the answer that an administrator looks at, and
 * what a command needs to carry out what was decided on it. Changes nothing.
 */
import {
  isJsonArray,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type Tool,
  type Upstream,
  writeJson,
} from "@writ/contract";
import type { CatalogueReview, ReviewedInstructions, ReviewedTool, ToolFlag } from "@writ/contract/admin";
import { canonicalDefinition, canonicalInstructions, compareCatalogue } from "@writ/core";
import { compileFlags, type FlaggedTool } from "../catalogue/flag-tools.ts";
import { hiddenCharacters } from "../catalogue/hidden-characters.ts";
import { readableDefinition, readableDiff, readableText } from "../catalogue/readable-diff.ts";
import type { ControlContext } from "../control-context.ts";
import type { Queries, Stored } from "../store/control-store.ts";
import { awaitCatalogue, type ObservedCatalogue, sha256 } from "./observed-catalogue.ts";
import { readNamedObject, selectObjects } from "./read-objects.ts";

export interface ReviewedCatalogue {
  readonly shown: CatalogueReview;
  readonly upstream: Stored<Upstream>;
  readonly seen: ObservedCatalogue;
  /** What is pinned, by name, at the version that was looked at. */
  readonly pinned: ReadonlyMap<string, Stored<Tool>>;
}

/** Tools of one upstream, and names of tools of one tenant, that are looked at. */
const PINNED_MAX = 5_000;
const NAMES_MAX = 50_000;
const NONE = '""';

export async function reviewCatalogue(
  context: ControlContext,
  tenantId: string,
  reference: string,
  options: { readonly fresh: boolean; readonly signal?: AbortSignal },
): Promise<ReviewedCatalogue> {
  const { id: upstreamId } = await readNamedObject(context, tenantId, "upstream", reference);
  const { fresh, signal = context.stopping } = options;
  const seen = await awaitCatalogue(context, { tenantId, upstreamId, fresh, signal });
  // Read after the wait: what the gateway has quarantined by this reading is part of the answer.
  const upstream = await readNamedObject(context, tenantId, "upstream", upstreamId);
  return context.store.read([tenantId], async (transaction) => {
    const tools = await selectObjects(
      transaction,
      tenantId,
      "tool",
      { after: "", limit: PINNED_MAX },
      `${upstream.value.name}/`,
    );
    const pinned = new Map(tools.map((tool) => [tool.value.name, tool]));
    const drifts = await selectDigests(transaction, "catalogue_drift", tenantId, upstreamId);
    const rejected = await selectDigests(transaction, "catalogue_rejection", tenantId, upstreamId);
    const names = await selectNames(transaction, tenantId);
    return { shown: show({ upstream, seen, pinned, drifts, rejected, names }), upstream, seen, pinned };
  });
}

interface Digest {
  readonly digest: string;
  /** Of a drift: what was seen. */
  readonly definition: string;
}

async function selectDigests(
  transaction: Queries,
  table: "catalogue_drift" | "catalogue_rejection",
  tenantId: string,
  upstreamId: string,
): Promise<ReadonlyMap<string, Digest>> {
  const definition = table === "catalogue_drift" ? "definition" : "''";
  const rows = await transaction.query<{ readonly name: string; readonly digest: string; readonly definition: string }>(
    `SELECT name, digest, ${definition} AS definition FROM ${table} WHERE tenant_id = $1 AND upstream_id = $2`,
    [tenantId, upstreamId],
  );
  return new Map(rows.map((row) => [row.name, row]));
}

async function selectNames(
  transaction: Queries,
  tenantId: string,
): Promise<readonly { readonly upstream: string; readonly name: string }[]> {
  return transaction.query<{ readonly upstream: string; readonly name: string }>(
    `SELECT value ->> 'upstream' AS upstream, value ->> 'name' AS name FROM authority
      WHERE tenant_id = $1 AND kind = 'tool' AND deactivated_ms IS NULL ORDER BY id COLLATE "C" LIMIT $2`,
    [tenantId, NAMES_MAX],
  );
}

function show(parts: {
  readonly upstream: Stored<Upstream>;
  readonly seen: ObservedCatalogue;
  readonly pinned: ReadonlyMap<string, Stored<Tool>>;
  readonly drifts: ReadonlyMap<string, Digest>;
  readonly rejected: ReadonlyMap<string, Digest>;
  readonly names: readonly { readonly upstream: string; readonly name: string }[];
}): CatalogueReview {
  const { upstream, seen, pinned, drifts, rejected, names } = parts;
  const { name, lock } = upstream.value;
  const stored = [...pinned.values()].map((tool) => tool.value);
  const comparison = compareCatalogue(seen, stored, lock);
  const changed = new Set(comparison.changed.map(({ tool }) => tool.name));
  const missing = new Set(comparison.missing);
  const flagsOf = compileFlags({
    upstream: name,
    listed: new Set(seen.tools.map((tool) => tool.name)),
    missing: new Map(
      stored.flatMap((tool) => {
        const signature = missing.has(tool.name) ? signatureOf(tool.definition) : undefined;
        return signature === undefined ? [] : [[signature, tool.name] as const];
      }),
    ),
    pinned: names,
  });
  const tools: ReviewedTool[] = seen.tools.map((tool) => {
    const before = pinned.get(tool.name)?.value;
    const change =
      before === undefined
        ? "added"
        : changed.has(tool.name)
          ? "changed"
          : before.status === "active"
            ? "unchanged"
            : "restored";
    const isRejected = rejected.get(tool.name)?.digest === tool.digest && (change === "added" || change === "changed");
    const drift = drifts.get(tool.name)?.definition;
    const other = change === "restored" ? (drift ?? tool.definition) : tool.definition;
    return {
      name: tool.name,
      change,
      status: isRejected ? "rejected" : (before?.status ?? "pending"),
      ...(before === undefined ? {} : { pinned: before.digest }),
      seen: tool.digest,
      flags: flagsOf(flagged(tool.name, tool.value, tool.definition)),
      diff: readableDiff(before === undefined ? "" : readableDefinition(before.definition), readableDefinition(other)),
    };
  });
  for (const toolName of comparison.missing) {
    const before = pinned.get(toolName)?.value;
    if (before === undefined) continue;
    const { status, digest } = before;
    tools.push({ name: toolName, change: "missing", status, pinned: digest, flags: [], diff: [] });
  }
  tools.sort((a, b) => (a.name < b.name ? -1 : 1));
  const instructions = showInstructions({ lock, seen, rejected: rejected.get(""), drift: drifts.get("") });
  const shown = { upstream: name, tools, instructions };
  const review = sha256(JSON.stringify([upstream.id, tools.map(digestable), digestable(instructions)]));
  const pending = isPending(instructions) || tools.some(isPending);
  return { ...shown, review, observedAtMs: seen.observedAtMs, pending };
}

/** Whether it waits for somebody to decide. What is gone is said, and may stay. */
export function isPending({ change, status }: ReviewedTool | ReviewedInstructions): boolean {
  return (change === "added" || change === "changed" || change === "restored") && status !== "rejected";
}

/** All that a decision is about; the diff follows from the digests. */
function digestable(part: ReviewedTool | ReviewedInstructions): unknown {
  const { change, status, pinned = "", seen = "", flags } = part;
  return [
    "name" in part ? part.name : "",
    change,
    status,
    pinned,
    seen,
    flags.map(({ code, detail }) => [code, detail]),
  ];
}

function showInstructions(parts: {
  readonly lock: Upstream["lock"];
  readonly seen: ObservedCatalogue;
  readonly rejected: Digest | undefined;
  readonly drift: Digest | undefined;
}): ReviewedInstructions {
  const { lock, seen, rejected, drift } = parts;
  const isSame =
    lock !== undefined && canonicalInstructions(lock.instructions) === canonicalInstructions(seen.instructions);
  const change =
    lock === undefined ? "added" : !isSame ? "changed" : lock.status === "active" ? "unchanged" : "restored";
  const hidden = hiddenCharacters([seen.instructions, ...textsOf(parse(seen.instructions))]);
  const flags: ToolFlag[] =
    hidden.length === 0 ? [] : [{ code: "hidden_characters", detail: `hold ${hidden.slice(0, 3).join(", ")}` }];
  const other = change === "restored" ? (drift?.definition ?? seen.instructions) : seen.instructions;
  const isRejected = rejected?.digest === seen.instructionsDigest && change !== "unchanged" && change !== "restored";
  return {
    change,
    status: isRejected ? "rejected" : (lock?.status ?? "pending"),
    ...(lock === undefined ? {} : { pinned: lock.digest }),
    seen: seen.instructionsDigest,
    flags,
    diff: readableDiff(readableText(lock?.instructions ?? NONE), readableText(other)),
  };
}

function parse(json: string): JsonValue {
  // Instructions that a gateway cut from a document that it had read.
  return JSON.parse(json) as JsonValue;
}

function flagged(name: string, value: JsonObject, definition: string): FlaggedTool {
  const { name: _, ...rest } = value;
  return { name, texts: textsOf(rest), signature: signatureOf(definition) };
}

/** Every text of a value, the names of its members included. */
function textsOf(value: JsonValue): readonly string[] {
  if (typeof value === "string") return [value];
  if (isJsonArray(value)) return value.flatMap(textsOf);
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => [name, ...textsOf(member)]);
}

/** What a tool is known by under another name; nothing when it is described by nothing. */
function signatureOf(definition: string): string | undefined {
  const canonical = canonicalDefinition(definition);
  if (canonical.kind === "unreadable" || (canonical.value["description"] ?? "") === "") return undefined;
  // The canonical text is JSON of ours.
  const {
    name: _,
    title: __,
    icons: ___,
    _meta: ____,
    ...rest
  } = JSON.parse(canonical.text) as Record<string, JsonValue>;
  return writeJson(rest);
}

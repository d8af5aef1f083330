/**
 * Pins the tools of an upstream for the first time: what the gateway saw becomes what may be called, but for tools that
 * are flagged in a way that holds them. Later it only unpins what is gone: what is new or has changed waits for a review.
 */
import { type PinAnswer, TOOL_FLAGS, type ToolChange, type ToolFlag } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { sha256 } from "../queries/observed-catalogue.ts";
import { reviewCatalogue } from "../queries/review-catalogue.ts";
import { requireTarget } from "./change-object.ts";

/** Problem `draining` when `signal` ends the wait for an observation. */
export async function pinCatalogue(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  signal: AbortSignal = context.stopping,
): Promise<PinAnswer> {
  const { upstream, seen, shown } = await reviewCatalogue(context, tenantId, reference, { fresh: true, signal });
  const flags = new Map(shown.tools.map((tool) => [tool.name, tool.flags]));
  return context.store.command(actor, tenantId, async (transaction) => {
    await requireTarget(transaction, "upstream", upstream.id);
    const stored = await transaction.get("upstream", upstream.id);
    const name = upstream.value.name;
    const pinned = new Map(
      (await transaction.find("tool", { member: "upstream", equals: name })).map((tool) => [tool.value.name, tool]),
    );
    const isFirst = stored?.value.lock === undefined && pinned.size === 0;
    const tools: { name: string; digest: string; change: ToolChange; flags: readonly ToolFlag[] }[] = [];
    for (const { value: _, ...tool } of seen.tools) {
      const before = pinned.get(tool.name);
      pinned.delete(tool.name);
      const own = flags.get(tool.name) ?? [];
      const isHeld = own.some(({ code }) => TOOL_FLAGS[code].held);
      let change: ToolChange = isHeld ? "held" : "added";
      if (before !== undefined || !isFirst) {
        const isSame = before?.value.digest === tool.digest && before.value.status === "active";
        change = isSame ? "unchanged" : "pending";
      }
      if (change === "added") {
        await transaction.put("tool", `${name}/${tool.name}`, { upstream: name, ...tool, status: "active" }, 0);
      }
      tools.push({ name: tool.name, digest: tool.digest, change, flags: own });
    }
    for (const tool of pinned.values()) {
      await transaction.remove("tool", tool.id, tool.version);
      tools.push({ name: tool.value.name, digest: tool.value.digest, change: "removed", flags: [] });
    }
    if (stored !== undefined && isFirst) {
      const lock = { instructions: seen.instructions, digest: seen.instructionsDigest, status: "active" } as const;
      await transaction.put("upstream", upstream.id, { ...stored.value, lock }, stored.version);
    }
    const digest = sha256(seen.tools.map((tool) => `${tool.name.length}:${tool.name}${tool.digest}`).join(""));
    const flagged = tools.flatMap((tool) => tool.flags.map((flag) => ({ tool: tool.name, ...flag })));
    transaction.record("catalogue.pinned", {
      version: stored?.version ?? upstream.version,
      upstream: name,
      tools: tools.filter(({ change }) => change === "added" || change === "unchanged").length,
      digest,
      flags: flagged.length === 0 ? undefined : flagged.slice(0, FLAGS_SAID_MAX),
      held: tools.some(({ change }) => change === "held")
        ? tools.filter(({ change }) => change === "held").map((tool) => tool.name)
        : undefined,
    });
    return { upstream: name, tools, digest, observedAtMs: seen.observedAtMs };
  });
}

/** Flags in one event. */
export const FLAGS_SAID_MAX = 100;

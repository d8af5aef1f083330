/** Pins what an upstream gives now, exactly as a review showed it. */
import type { CatalogueDecide, CatalogueDecideAnswer } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { decideReviewed, forgetDecided } from "./decide-reviewed.ts";
import { FLAGS_SAID_MAX } from "./pin-catalogue.ts";

/** Problem `version_conflict` when anything is not as the review showed it; `reference_unknown` for an unknown tool. */
export async function approveCatalogue(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  input: CatalogueDecide,
): Promise<CatalogueDecideAnswer> {
  return decideReviewed(context, actor, tenantId, reference, input, {
    alsoMissing: true,
    async decide(transaction, { reviewed, stored, tools, instructions }) {
      const { upstream, pinned, seen } = reviewed;
      const name = upstream.value.name;
      for (const { name: toolName, change } of tools) {
        const before = pinned.get(toolName);
        if (change === "missing") {
          if (before !== undefined) await transaction.remove("tool", before.id, before.version);
          continue;
        }
        const found = seen.tools.find((tool) => tool.name === toolName);
        if (found === undefined) throw new TypeError("a review shows what was seen");
        const { value: _, ...tool } = found;
        const value = { upstream: name, ...tool, status: "active" } as const;
        // The version is the reviewed one: a quarantine or another approval in between is a conflict.
        await transaction.put("tool", `${name}/${toolName}`, value, before?.version ?? 0);
      }
      if (instructions) {
        const lock = { instructions: seen.instructions, digest: seen.instructionsDigest, status: "active" } as const;
        await transaction.put("upstream", upstream.id, { ...stored.value, lock }, stored.version);
      }
      const names = tools.map((tool) => tool.name);
      await forgetDecided(transaction, tenantId, upstream.id, [...names, ...(instructions ? [""] : [])]);
      const flags = tools.flatMap((tool) => tool.flags.map((flag) => ({ tool: tool.name, ...flag })));
      transaction.record("catalogue.approved", {
        version: stored.version,
        upstream: name,
        review: input.review,
        approved: tools
          .filter(({ change }) => change !== "missing")
          .map((tool) => ({ tool: tool.name, digest: tool.seen ?? "", previous: tool.pinned ?? "" })),
        unpinned: tools.filter(({ change }) => change === "missing").map((tool) => tool.name),
        instructions: instructions ? seen.instructionsDigest : undefined,
        flags: flags.length === 0 ? undefined : flags.slice(0, FLAGS_SAID_MAX),
      });
    },
  });
}

/** Refuses what an upstream gives now, as a review showed it: nothing new is pinned, and what is pinned is quarantined. */
import type { CatalogueDecide, CatalogueDecideAnswer } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { decideReviewed } from "./decide-reviewed.ts";

/** Problem `version_conflict` when anything is not as the review showed it; `reference_unknown` for an unknown tool. */
export async function rejectCatalogue(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  input: CatalogueDecide,
): Promise<CatalogueDecideAnswer> {
  return decideReviewed(context, actor, tenantId, reference, input, {
    alsoMissing: false,
    async decide(transaction, { reviewed, stored, tools, instructions }) {
      const { upstream, pinned, seen } = reviewed;
      const name = upstream.value.name;
      for (const { name: toolName } of tools) {
        const before = pinned.get(toolName);
        if (before?.value.status !== "active") continue;
        await transaction.put("tool", before.id, { ...before.value, status: "quarantined" }, before.version);
      }
      const { lock } = stored.value;
      if (instructions && lock?.status === "active") {
        const value = { ...stored.value, lock: { ...lock, status: "quarantined" } } as const;
        await transaction.put("upstream", upstream.id, value, stored.version);
      }
      const refused = tools.map((tool) => [tool.name, tool.seen ?? ""] as const);
      if (instructions) refused.push(["", seen.instructionsDigest]);
      await transaction.query(
        `INSERT INTO catalogue_rejection AS r (tenant_id, upstream_id, name, digest)
           SELECT $1::uuid, $2, n.name, n.digest FROM unnest($3::text[], $4::text[]) AS n(name, digest)
         ON CONFLICT (tenant_id, upstream_id, name) DO UPDATE SET digest = excluded.digest`,
        [tenantId, upstream.id, refused.map(([toolName]) => toolName), refused.map(([, digest]) => digest)],
      );
      const names = tools.map((tool) => tool.name);
      transaction.record("catalogue.rejected", {
        version: stored.version,
        upstream: name,
        review: input.review,
        rejected: names,
        instructions,
      });
    },
  });
}

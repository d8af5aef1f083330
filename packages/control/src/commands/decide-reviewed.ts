/** A decision about what a review showed, on exactly that. Common to approving and rejecting; decides nothing by itself. */
import type { AuthorityValues } from "@writ/contract";
import type { CatalogueDecide, CatalogueDecideAnswer, CatalogueReview, ReviewedTool } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import type { ControlContext } from "../control-context.ts";
import { Problem } from "../problem.ts";
import { isPending, reviewCatalogue } from "../queries/review-catalogue.ts";
import type { CommandTransaction, Stored } from "../store/control-store.ts";

interface Chosen {
  readonly tools: readonly ReviewedTool[];
  readonly instructions: boolean;
}

export interface DecidedCatalogue extends Chosen {
  readonly reviewed: Awaited<ReturnType<typeof reviewCatalogue>>;
  /** As it is in the transaction, which is as it was reviewed. */
  readonly stored: Stored<AuthorityValues["upstream"]>;
}

export interface DecideOptions {
  /** Whether what an upstream gives no longer is among what waits. */
  readonly alsoMissing: boolean;
  readonly decide: (transaction: CommandTransaction, decided: DecidedCatalogue) => Promise<void>;
}

/** Problem `version_conflict` when anything is not as the review showed it; `reference_unknown` for an unknown tool. */
export async function decideReviewed(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  reference: string,
  input: CatalogueDecide,
  { alsoMissing, decide }: DecideOptions,
): Promise<CatalogueDecideAnswer> {
  const reviewed = await reviewCatalogue(context, tenantId, reference, { fresh: false });
  const { upstream } = reviewed;
  const chosen = chooseReviewed(reviewed.shown, input, { alsoMissing });
  return context.store.command(actor, tenantId, async (transaction) => {
    const stored = await transaction.get("upstream", upstream.id);
    if (stored === undefined || stored.version !== upstream.version) {
      throw new Problem("version_conflict", "The upstream has changed since it was reviewed.");
    }
    await decide(transaction, { reviewed, stored, ...chosen });
    const { tools, instructions } = chosen;
    return { upstream: upstream.value.name, tools: tools.map((tool) => tool.name), instructions };
  });
}

/** What `input` names, or all that is pending when it names nothing; refuses what was not looked at. */
function chooseReviewed(
  shown: CatalogueReview,
  input: CatalogueDecide,
  options: { readonly alsoMissing: boolean },
): Chosen {
  if (input.review !== shown.review) {
    throw new Problem("version_conflict", "The catalogue is not what the review showed; look at it again.", {
      expectedVersion: input.review,
      actualVersion: shown.review,
    });
  }
  const isGone = (tool: ReviewedTool): boolean => options.alsoMissing && tool.change === "missing";
  if (input.tools === undefined && input.instructions === undefined) {
    const tools = shown.tools.filter((tool) => isPending(tool) || isGone(tool));
    const chosen = { tools, instructions: isPending(shown.instructions) };
    if (tools.length === 0 && !chosen.instructions)
      throw new Problem("state_conflict", "Nothing waits for a decision.");
    return chosen;
  }
  const byName = new Map(shown.tools.map((tool) => [tool.name, tool]));
  const tools = [...new Set(input.tools)].map((name) => {
    const tool = byName.get(name);
    if (tool === undefined) throw new Problem("reference_unknown", "The review shows no tool of one of these names.");
    if (tool.change === "unchanged" || (tool.change === "missing" && !options.alsoMissing)) {
      throw new Problem("state_conflict", "There is nothing to decide about one of these tools.");
    }
    return tool;
  });
  return { tools, instructions: input.instructions === true };
}

/** What was seen and refused of these before has been decided anew. */
export async function forgetDecided(
  transaction: CommandTransaction,
  tenantId: string,
  upstreamId: string,
  names: readonly string[],
): Promise<void> {
  for (const table of ["catalogue_drift", "catalogue_rejection"] as const) {
    await transaction.query(
      `DELETE FROM ${table} WHERE tenant_id = $1 AND upstream_id = $2 AND name = ANY ($3::text[])`,
      [tenantId, upstreamId, names],
    );
  }
}

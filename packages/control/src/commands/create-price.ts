/** Adds an entry to the price list; one for each pattern. */
import { compileToolPattern } from "@writ/contract";
import type { PriceCreate, PriceView } from "@writ/contract/admin";
import type { Actor } from "../actor.ts";
import { type ControlContext, makeId } from "../control-context.ts";
import { Problem } from "../problem.ts";

/** Entries of a tenant: a name that was not seen before is compared with all of them. */
const PRICES_MAX = 2_000;

export function createPrice(
  context: ControlContext,
  actor: Actor,
  tenantId: string,
  { pattern, credits }: PriceCreate,
): Promise<PriceView> {
  if (compileToolPattern(pattern) === undefined) {
    throw new Problem(
      "fault_request",
      "pattern is upstream/tool or upstream/METHOD /path, where * stands for any characters",
    );
  }
  const id = makeId(context);
  return context.store.command(actor, tenantId, async (transaction) => {
    const entries = await transaction.find("price");
    if (entries.length >= PRICES_MAX) throw new Problem("state_conflict", `The price list has ${PRICES_MAX} entries.`);
    if (entries.some(({ value }) => value.pattern === pattern)) {
      throw new Problem("name_taken", "The price list has an entry of this pattern; change that one.");
    }
    const version = await transaction.put("price", id, { pattern, credits }, 0);
    transaction.record("price.created", { version, priceId: id, credits });
    return { id, version, pattern, credits };
  });
}

/** Lists where budget rules stand: the counter that each rule is compared with, in the window of now. */
import { windowAt } from "@writ/contract";
import type { BudgetUsage, Page } from "@writ/contract/admin";
import type { ControlContext } from "../control-context.ts";
import { buildTenantState } from "./build-tenant-state.ts";
import { makePage, type PageRequest, selectObjects } from "./read-objects.ts";

interface CounterRow extends Record<string, unknown> {
  readonly counter: Uint8Array;
  readonly window_start: number;
  readonly used: number;
  readonly reserved: number;
  readonly unknown: number;
  readonly carved: number;
}

export async function listBudgetUsage(
  context: ControlContext,
  tenantId: string,
  page: PageRequest,
): Promise<Page<BudgetUsage>> {
  const state = await buildTenantState(context, tenantId);
  const nowMs = context.clock.nowMs();
  return context.store.read([tenantId], async (transaction) => {
    const rules = makePage(await selectObjects(transaction, tenantId, "budget", page), page.limit, (rule) => rule.id);
    const items: BudgetUsage[] = [];
    for (const { id, value } of rules.items) {
      const { scope, unit, window, mode, limit } = value;
      const scopeId = scope === "tenant" ? tenantId : value.scopeId;
      const { startMs, endMs } = windowAt(window, nowMs);
      const rows = await transaction.query<CounterRow>(
        `SELECT counter, window_start, used, reserved, unknown, carved FROM budget_counter
          WHERE tenant_id = $1 AND counter = $2`,
        [tenantId, Buffer.from(state.counterId(scope, scopeId, unit, window), "hex")],
      );
      const row = rows[0];
      // A counter of an older window is emptied by the next call, and reads as empty until then.
      const current = row !== undefined && row.window_start === startMs ? row : undefined;
      items.push({
        budgetId: id,
        scope,
        scopeId: value.scopeId,
        unit,
        window,
        mode,
        limit,
        windowStartMs: startMs,
        windowEndMs: endMs,
        used: current?.used ?? 0,
        reserved: current?.reserved ?? 0,
        unknown: current?.unknown ?? 0,
        carved: row?.carved ?? 0,
      });
    }
    return rules.next === undefined ? { items } : { items, next: rules.next };
  });
}

/**
 * A few commands of a tenant at a time in this process. They hold the tenant's head one after the other anyway; waiting
 * here instead of at the head, a bulk leaves it to the gateways between its commands, and the connections to other
 * tenants. Between processes the head alone decides.
 */
import { Problem } from "../problem.ts";

/** Commands of one tenant that run at once: while one holds the head, the next is on its way to it. */
export const COMMANDS_AT_ONCE = 2;
/** Commands of one tenant that wait at once. */
export const COMMANDS_WAITING_MAX = 1_000;

/**
 * Runs `work` when its turn has come: in order of asking, but what is urgent before all that waits and is not refused.
 * Problem `database_unavailable` when too many wait.
 */
export type CommandTurns = <T>(
  tenantId: string,
  work: () => Promise<T>,
  options?: { readonly urgent: boolean },
) => Promise<T>;

export function createCommandTurns(): CommandTurns {
  const tenants = new Map<string, { running: number; readonly waiting: (() => void)[] }>();
  return async (tenantId, work, { urgent } = { urgent: false }) => {
    const turns = tenants.get(tenantId) ?? { running: 0, waiting: [] };
    tenants.set(tenantId, turns);
    if (turns.running < COMMANDS_AT_ONCE) turns.running += 1;
    else if (urgent || turns.waiting.length < COMMANDS_WAITING_MAX) {
      // Whoever ends hands its place on, so that nobody who asks later comes first.
      await new Promise<void>((resolve) => {
        if (urgent) turns.waiting.unshift(resolve);
        else turns.waiting.push(resolve);
      });
    } else throw new Problem("database_unavailable", "Too many commands of this tenant wait already.");
    try {
      return await work();
    } finally {
      const next = turns.waiting.shift();
      if (next !== undefined) next();
      else {
        turns.running -= 1;
        if (turns.running === 0) tenants.delete(tenantId);
      }
    }
  };
}

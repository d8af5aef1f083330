/** How far each log has been verified by this process. Kept outside the database, which is what is verified. */
import type { VerifiedPosition } from "@writ/audit/verify";

/** Positions that are remembered, one a tenant. */
const POSITIONS_MAX = 10_000;

export interface VerifiedPositions {
  get(tenantId: string, epoch: number): VerifiedPosition | undefined;
  set(tenantId: string, epoch: number, position: VerifiedPosition): void;
}

/** Kept in memory: outside the database, which is what is being verified. A restart verifies whole once. */
export function createVerifiedPositions(): VerifiedPositions {
  const known = new Map<string, { readonly epoch: number; readonly position: VerifiedPosition }>();
  return {
    get(tenantId, epoch) {
      const found = known.get(tenantId);
      return found?.epoch === epoch ? found.position : undefined;
    },
    set(tenantId, epoch, position) {
      known.delete(tenantId);
      if (known.size >= POSITIONS_MAX) {
        const oldest = known.keys().next();
        if (oldest.done !== true) known.delete(oldest.value);
      }
      known.set(tenantId, { epoch, position });
    },
  };
}

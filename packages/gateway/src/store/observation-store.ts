/** Stores what a gateway saw of an upstream's catalogue; the control plane reads it when it pins. */
import type { Database } from "@writ/db";

export interface Observation {
  readonly tenantId: string;
  readonly upstreamId: string;
  readonly gatewayId: string;
  readonly observedAtMs: number;
  readonly status: string;
  /** Why it could not be read, in words of ours. */
  readonly detail: string;
  /** JSON texts of the tools' definitions, byte for byte. */
  readonly definitions: readonly string[];
}

export interface ObservationStore {
  observe(observation: Observation): Promise<void>;
}

export function createObservationStore(db: Database): ObservationStore {
  return {
    async observe({ tenantId, upstreamId, gatewayId, observedAtMs, status, detail, definitions }) {
      await db.transaction({ tenants: [tenantId] }, async (transaction) => {
        await transaction.query(
          `INSERT INTO catalogue_observation (tenant_id, upstream_id, gateway_id, observed_ms, status, detail, tools)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (tenant_id, upstream_id) DO UPDATE
           SET gateway_id = excluded.gateway_id, observed_ms = excluded.observed_ms, status = excluded.status,
             detail = excluded.detail,
             tools = CASE WHEN excluded.status = 'ok' THEN excluded.tools ELSE catalogue_observation.tools END`,
          [tenantId, upstreamId, gatewayId, observedAtMs, status, detail, JSON.stringify(definitions)],
        );
      });
    },
  };
}

/**
 * What a gateway says of an upstream's catalogue: the observation that the control plane reads when it pins and
 * reviews, and the quarantine of what has drifted. Also tells which readings were asked for.
 */
import type { Database } from "@writ/db";
import { type QuarantineRequest, quarantine } from "@writ/history";

export interface Observation {
  readonly tenantId: string;
  readonly upstreamId: string;
  readonly gatewayId: string;
  readonly observedAtMs: number;
  readonly status: "ok" | "failed";
  /** Why it could not be read, in words of ours. */
  readonly detail: string;
  /** JSON texts of the tools' definitions, byte for byte. */
  readonly definitions: readonly string[];
  /** JSON text of the upstream's instructions. */
  readonly instructions: string;
  /** SHA-256 (hex) over the canonical forms of all of it; "" when it failed. */
  readonly digest: string;
  /** The reading that was asked for when this one began. */
  readonly wanted: number;
}

export interface WantedReading {
  readonly tenantId: string;
  readonly upstreamId: string;
  readonly wanted: number;
}

export interface ObservationStore {
  /** Resolves to whether what was read is not what was read last, by any gateway. */
  observe(observation: Observation): Promise<{ readonly isNew: boolean }>;
  quarantine(request: QuarantineRequest): Promise<{ readonly kind: "quarantined" | "moved" }>;
  /** Readings that were asked for and not made yet, of any tenant; a bounded number. */
  wanted(): Promise<readonly WantedReading[]>;
}

const WANTED_MAX = 100;

export function createObservationStore(db: Database): ObservationStore {
  return {
    async observe({
      tenantId,
      upstreamId,
      gatewayId,
      observedAtMs,
      status,
      detail,
      definitions,
      instructions,
      digest,
      wanted,
    }) {
      return db.transaction({ tenants: [tenantId] }, async (transaction) => {
        const before = await transaction.query<{ readonly digest: string }>(
          "SELECT digest FROM catalogue_observation WHERE tenant_id = $1 AND upstream_id = $2 FOR UPDATE",
          [tenantId, upstreamId],
        );
        await transaction.query(
          `INSERT INTO catalogue_observation (tenant_id, upstream_id, gateway_id, observed_ms, status, detail, tools,
             instructions, digest, served)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ON CONFLICT (tenant_id, upstream_id) DO UPDATE
           SET gateway_id = excluded.gateway_id, observed_ms = excluded.observed_ms, status = excluded.status,
             detail = excluded.detail,
             tools = CASE WHEN excluded.status = 'ok' THEN excluded.tools ELSE catalogue_observation.tools END,
             instructions = CASE WHEN excluded.status = 'ok' THEN excluded.instructions
               ELSE catalogue_observation.instructions END,
             digest = CASE WHEN excluded.status = 'ok' THEN excluded.digest ELSE catalogue_observation.digest END,
             served = greatest(catalogue_observation.served, excluded.served)`,
          [
            tenantId,
            upstreamId,
            gatewayId,
            observedAtMs,
            status,
            detail,
            JSON.stringify(definitions),
            instructions,
            digest,
            wanted,
          ],
        );
        return { isNew: status === "ok" && before[0]?.digest !== digest };
      });
    },
    quarantine: (request) => quarantine(db, request),
    async wanted() {
      const rows = await db.query<{
        readonly tenant_id: string;
        readonly upstream_id: string;
        readonly wanted: number;
      }>("SELECT tenant_id, upstream_id, wanted FROM writ_wanted_readings($1::int4)", [WANTED_MAX]);
      return rows.map((row) => ({ tenantId: row.tenant_id, upstreamId: row.upstream_id, wanted: row.wanted }));
    },
  };
}

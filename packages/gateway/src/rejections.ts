/**
 * Unauthenticated noise, counted instead of recorded one by one: every period each reason that occurred becomes one
 * `auth.rejected` event of the instance's log. Nothing that the peer sent is kept.
 */
import { type AuditEvent, INSTANCE_TENANT, makeUuidv7, type Reason } from "@writ/contract";
import type { Clock, Random } from "./ports.ts";

export interface Rejections {
  count(reason: Reason): void;
  /** The events of what was counted since the last take. */
  take(): readonly AuditEvent[];
}

export function createRejections(options: { clock: Clock; random: Random; gatewayId: string }): Rejections {
  const { clock, random, gatewayId } = options;
  let counts = new Map<Reason, { count: number; fromTime: number; toTime: number }>();
  return {
    count(reason) {
      const nowMs = clock.nowMs();
      const known = counts.get(reason);
      if (known === undefined) counts.set(reason, { count: 1, fromTime: nowMs, toTime: nowMs });
      else {
        known.count += 1;
        known.toTime = nowMs;
      }
    },
    take() {
      const taken = counts;
      counts = new Map();
      return [...taken].map(([reason, fields]): AuditEvent => {
        const timeMs = clock.nowMs();
        return {
          event: "auth.rejected",
          id: makeUuidv7(timeMs, random.bytes(10)),
          timeMs,
          tenantId: INSTANCE_TENANT,
          fields: { reason, ...fields, gateway: gatewayId },
        };
      });
    },
  };
}

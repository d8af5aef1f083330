/**
 * Routes of the log: reading, verifying, exporting, checkpoints, and opening a new epoch. Of a tenant's log, and of the
 * instance's own by the same handlers.
 */
import { recoverLog } from "../commands/recover-log.ts";
import { exportLog } from "../queries/export-log.ts";
import { listAuditEvents } from "../queries/list-audit-events.ts";
import { verifyLog } from "../queries/verify-log.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

function readEpoch(epoch: string | undefined): number | undefined {
  return epoch === undefined ? undefined : Number(epoch);
}

function readVerify({
  full,
  epoch,
}: {
  readonly full?: string;
  readonly epoch?: string;
}): Parameters<typeof verifyLog>[2] {
  return { full: full === "true", epoch: readEpoch(epoch) };
}

export const auditRoutes = [
  defineRoute("audit.events", {
    query: schema.auditEventsQuery,
    answer: schema.page(schema.auditEventView),
    handle: ({ control, tenantId }, { query }) => listAuditEvents(control, tenantId, query),
  }),
  defineRoute("audit.verify", {
    query: schema.auditVerifyQuery,
    answer: schema.auditVerifyAnswer,
    handle: ({ control, tenantId }, { query }) => verifyLog(control, tenantId, readVerify(query)),
  }),
  defineRoute("audit.export", {
    query: schema.auditExportQuery,
    answer: "ndjson",
    handle: ({ control, tenantId }, { query }) => exportLog(control, tenantId, readEpoch(query.epoch)),
  }),
  defineRoute("audit.checkpoints", {
    answer: schema.page(schema.checkpointView),
    handle: async ({ control, tenantId }) => ({ items: await control.checkpoints.list(tenantId) }),
  }),
  defineRoute("instance.audit.events", {
    query: schema.auditEventsQuery,
    answer: schema.page(schema.auditEventView),
    handle: ({ control, tenantId }, { query }) => listAuditEvents(control, tenantId, query),
  }),
  defineRoute("instance.audit.verify", {
    query: schema.auditVerifyQuery,
    answer: schema.auditVerifyAnswer,
    handle: ({ control, tenantId }, { query }) => verifyLog(control, tenantId, readVerify(query)),
  }),
  defineRoute("instance.audit.export", {
    query: schema.auditExportQuery,
    answer: "ndjson",
    handle: ({ control, tenantId }, { query }) => exportLog(control, tenantId, readEpoch(query.epoch)),
  }),
  defineRoute("instance.audit.checkpoints", {
    answer: schema.page(schema.checkpointView),
    handle: async ({ control, tenantId }) => ({ items: await control.checkpoints.list(tenantId) }),
  }),
  defineRoute("log.recover", {
    body: schema.logRecover,
    answer: schema.logRecoverAnswer,
    handle: ({ control, actor, tenantId }, { body }) => recoverLog(control, actor, tenantId, body),
  }),
  defineRoute("instance.log.recover", {
    body: schema.logRecover,
    answer: schema.logRecoverAnswer,
    handle: ({ control, actor, tenantId }, { body }) => recoverLog(control, actor, tenantId, body),
  }),
] as const;

export {
  commitIn,
  commitJournal,
  commitJournalUnderLock,
  JOURNAL_ENTRIES_MAX,
  type LockedTenant,
  resolveBatch,
  type UnderLock,
} from "./commit-journal.ts";
export { type Claiming, type ForeseenClaims, foreseeClaims } from "./foresee-claims.ts";
export { AUTHORITY_CHANNEL, type CommittedHead, type HeadMark } from "./head-mark.ts";
export type {
  EntryResult,
  JournalBatch,
  JournalBatchResult,
  JournalEntry,
  JournalOutcome,
} from "./journal-entry.ts";
export { endLease, LAPSED_CALLS_MAX, type LapsedCount, type Lease, lapseLeases, renewLease } from "./lease.ts";
export {
  type BanNodeRequest,
  banNode,
  CARVE_CLAIMS_MAX,
  type CarveClaim,
  QUARANTINE_MAX,
  type Quarantined,
  type QuarantineRequest,
  quarantine,
  type RecordChildRequest,
  type RecordChildResult,
  recordChild,
  type SoftLimit,
} from "./narrow.ts";
export {
  endExpired,
  PRUNED_OBJECTS_MAX,
  type PruneCursor,
  type PrunedRows,
  pruneKeys,
  pruneRows,
  tenantsWithExpired,
} from "./prune.ts";
export {
  CHANGES_KEPT,
  CHANGES_READ_MAX,
  CHANGES_TENANTS_MAX,
  type ChangesRead,
  type ChangesRequest,
  HEADS_READ_MAX,
  listenAuthority,
  readChanges,
  readChangesIn,
  readChangesOfMany,
  readHeads,
  readSnapshot,
} from "./read-authority.ts";
export { readCounterTotals } from "./read-counters.ts";
export { EVENTS_PAGE_MAX, type LogEntry, type LogHead, listTenants, readEvents, readHead } from "./read-log.ts";
export { REFUNDS_PAGE_MAX, refundCarves } from "./refund-carves.ts";
export {
  AlreadyExists,
  COMMAND_CHANGES_MAX,
  type CommandResult,
  type CommandScope,
  type CommandTransaction,
  createTenant,
  EPOCH_MAX,
  ensureInstance,
  type OpenedEpoch,
  openEpoch,
  runCommand,
  UnknownTenant,
  VersionConflict,
} from "./run-command.ts";
export { readStandings, tellStandings, type UpstreamStandings, type UpstreamWait } from "./upstream-standing.ts";

export {
  type Checkpoint,
  type CheckpointCheck,
  type CheckpointFile,
  type CheckpointReading,
  isOriginOf,
  NOTE_CHARACTERS_MAX,
  NOTE_SIGNATURES_MAX,
  type NoteCheck,
  parseCheckpoint,
  parseCheckpointFile,
  verifyCheckpoint,
  verifyNote,
} from "./checkpoint.ts";
export { CHECKPOINTS_KEPT_MAX, type CheckpointSelection, createCheckpointSelection } from "./checkpoint-selection.ts";
export { readCheckpointFile } from "./checkpoint-stream.ts";
export type { LogEntry } from "./diagnose.ts";
export { EXPORT_LINE_CHARACTERS_MAX, type ExportTrust, type ExportVerdict, verifyExport } from "./export-verifier.ts";
export { DAMAGES, type Damage, FINDINGS_MAX, type Finding } from "./findings.ts";
export {
  CHECKPOINTS_MAX,
  type Coverage,
  createLogVerifier,
  DIAGNOSIS_WINDOW,
  type LogVerdict,
  type LogVerifier,
  type LogVerifierOptions,
  REMEMBERED_HASHES,
  type StoredHead,
  type VerifiedPosition,
} from "./log-verifier.ts";

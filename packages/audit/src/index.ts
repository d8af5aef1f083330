export { chainLink, genesis } from "./chain.ts";
export {
  type CheckpointBody,
  type CheckpointKey,
  checkpointFileEntry,
  checkpointOrigin,
  checkpointText,
  type LogName,
  signCheckpoint,
  verifierKey,
} from "./checkpoint.ts";
export {
  type EncodedEvent,
  EVENT_CHARACTERS_MAX,
  EVENT_DEPTH_MAX,
  encodeEvent,
  encodeEventText,
  leafOfText,
} from "./event-bytes.ts";
export {
  type ExportEntry,
  type ExportHead,
  type ExportHeader,
  encodeExportCheckpoint,
  encodeExportEntry,
  encodeExportFooter,
  encodeExportHeader,
} from "./export.ts";
export { SALT_BYTES, type SaltedDigest, saltedDigest, startSaltedDigest } from "./salted-digest.ts";
export { makeSeal, type SealedLink } from "./seal.ts";
export { mayExtend, type SignedPosition, type SignerRefusal, type SignerVerdict } from "./signer.ts";
export { appendLeaves, EMPTY_FRONTIER, rootOf, treeNode } from "./tree.ts";
export {
  type Checkpoint,
  type CheckpointCheck,
  type CheckpointFile,
  type CheckpointReading,
  parseCheckpoint,
  parseCheckpointFile,
  verifyCheckpoint,
} from "./verify/checkpoint.ts";

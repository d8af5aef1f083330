export {
  type EncodedEvent,
  EVENT_CHARACTERS_MAX,
  EVENT_DEPTH_MAX,
  encodeEvent,
  encodeEventText,
  leafOfText,
} from "./event-bytes.ts";
export { SALT_BYTES, saltedDigest } from "./salted-digest.ts";

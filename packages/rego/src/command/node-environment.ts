/** What Node gives to an evaluation: time, randomness and cryptography. */
import { createHash, createHmac, randomBytes } from "node:crypto";
import type { EvaluateOptions } from "../program.ts";
import type { CommandContext } from "./command-context.ts";

export function nodeEnvironment(context: CommandContext): EvaluateOptions {
  return {
    timeNs: context.nowNs(),
    nowMs: () => context.nowMs(),
    randomBytes: (count) => randomBytes(count),
    cryptography: {
      hash: (algorithm, bytes) => createHash(algorithm).update(bytes).digest(),
      hmac: (algorithm, key, bytes) => createHmac(algorithm, key).update(bytes).digest(),
    },
  };
}

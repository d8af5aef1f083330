/** What Node gives to an evaluation: time, randomness and cryptography. */
import { randomBytes } from "node:crypto";
import { nodeCryptography } from "../node.ts";
import type { EvaluateOptions } from "../program.ts";
import type { CommandContext } from "./command-context.ts";

export function nodeEnvironment(context: CommandContext): EvaluateOptions {
  return {
    timeNs: context.nowNs(),
    nowMs: () => context.nowMs(),
    randomBytes: (count) => randomBytes(count),
    cryptography: nodeCryptography(),
  };
}

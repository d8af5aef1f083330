/**
 * The end of an epoch with the checkpoints that were signed of it, in the order that makes them agree: whatever was signed
 * before the end is read lies within it, as long as the log only grows.
 */
import type { ControlContext } from "../control-context.ts";
import { type EpochEnd, readEpochEnd } from "./read-epoch-end.ts";

/** Problems as of `readEpochEnd`. */
export async function readSignedEnd(
  context: Pick<ControlContext, "store" | "checkpoints">,
  tenantId: string,
  wanted: number | undefined,
): Promise<{ readonly end: EpochEnd; readonly notes: readonly string[] }> {
  const { epoch } = await readEpochEnd(context, tenantId, wanted);
  const notes = await context.checkpoints.notes(tenantId, epoch);
  return { notes, end: await readEpochEnd(context, tenantId, epoch) };
}

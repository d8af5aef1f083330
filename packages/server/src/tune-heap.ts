/**
 * Gives the young generation of this process room: a call makes a few kilobytes that die with it, and with the
 * default of 16 MB they are copied before they can. Worth a sixth of a call's processor time, for some 40 MB.
 */
import { setFlagsFromString } from "node:v8";

export function tuneHeap(): void {
  setFlagsFromString("--min-semi-space-size=8");
  setFlagsFromString("--max-semi-space-size=32");
  // What survives a call is next to nothing: helper threads cost more than they take off the main one.
  setFlagsFromString("--no-parallel-scavenge");
}

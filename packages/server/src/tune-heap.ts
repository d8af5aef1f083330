/**
 * Gives the young generation of this process room: a call makes a few kilobytes that die with it, and with the
 * small one it begins with they are copied before they can.
 */
import { setFlagsFromString } from "node:v8";

export function tuneHeap(): void {
  setFlagsFromString("--min-semi-space-size=8");
  setFlagsFromString("--max-semi-space-size=16");
  // What survives a call is next to nothing: helper threads cost more than they take off the main one.
  setFlagsFromString("--no-parallel-scavenge");
}

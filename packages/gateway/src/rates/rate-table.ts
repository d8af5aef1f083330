/**
 * Moving windows by name, in bounded number. A name that there is no room for is never unlimited: all such names share one
 * window, which holds at least what each of them would have counted by itself (trap 38). How often that happened is
 * counted. Windows are forgotten only when they are empty, and whoever may have been counted elsewhere before is still
 * counted there, or begins with what that holds: no change of place gives anybody more.
 */
import { isIdle, joinMovingWindows, type MovingWindow, makeMovingWindow } from "./moving-window.ts";

/** Names that belong together and may have so many windows of their own. */
export interface RateGroup {
  readonly name: string;
  readonly windowsMax: number;
}

export interface RateTable {
  /**
   * The windows that hold what a name has had, all together; the first is where it is counted next. `groups` from the
   * smallest to the largest.
   */
  find(name: string, groups: readonly RateGroup[], nowMs: number): readonly [MovingWindow, ...MovingWindow[]];
  /** The same to look at: no window is made, and none of what is found is to be counted in. */
  look(name: string, groups: readonly RateGroup[], nowMs: number): readonly [MovingWindow, ...MovingWindow[]];
  /** Forgets what is empty. */
  sweep(nowMs: number): void;
  /** How often a shared window was found since the last time. */
  takeShared(): number;
  readonly size: number;
}

/** A full table looks for empty windows at most so often: that costs a look at all. */
const SWEEP_EVERY_MS = 1_000;

/** All names, as the last group. */
const TABLE = "";

interface Entry {
  readonly windows: readonly [MovingWindow];
  readonly groups: readonly RateGroup[];
}

export function createRateTable(options: { readonly windowsMax: number }): RateTable {
  const entries = new Map<string, Entry>();
  /** How many windows each group has. */
  const sizes = new Map<string, number>();
  const shared = new Map<string, MovingWindow>();
  let sharedCount = 0;
  let sweptMs = Number.NEGATIVE_INFINITY;

  /** The group that has no room, the smallest first. */
  function fullGroup(groups: readonly RateGroup[]): string | undefined {
    const full = groups.find(({ name, windowsMax }) => (sizes.get(name) ?? 0) >= windowsMax);
    return full?.name ?? (entries.size >= options.windowsMax ? TABLE : undefined);
  }

  function sweep(nowMs: number): void {
    sweptMs = nowMs;
    for (const [name, { windows, groups }] of entries) {
      if (!isIdle(windows[0], nowMs)) continue;
      entries.delete(name);
      for (const { name: group } of groups) {
        const size = (sizes.get(group) ?? 1) - 1;
        if (size === 0) sizes.delete(group);
        else sizes.set(group, size);
      }
    }
    for (const [name, window] of shared) if (isIdle(window, nowMs)) shared.delete(name);
  }

  /** Shared windows that hold something and in which names of these groups may have been counted. */
  function sharedBefore(groups: readonly RateGroup[], except: string | undefined, nowMs: number): MovingWindow[] {
    if (shared.size === 0) return [];
    const names = [...groups.map(({ name }) => name), TABLE].filter((name) => name !== except);
    return names.flatMap((name) => shared.get(name) ?? []).filter((window) => !isIdle(window, nowMs));
  }

  /** A full group whose shared window a name comes into that has none of its own. */
  function groupWithoutRoom(groups: readonly RateGroup[], nowMs: number): string | undefined {
    const full = fullGroup(groups);
    if (full === undefined || nowMs - sweptMs < SWEEP_EVERY_MS) return full;
    sweep(nowMs);
    return fullGroup(groups);
  }

  function sharedOf(
    full: string,
    groups: readonly RateGroup[],
    nowMs: number,
  ): readonly [MovingWindow, ...MovingWindow[]] {
    return [shared.get(full) ?? makeMovingWindow(), ...sharedBefore(groups, full, nowMs)];
  }

  /** The first window of a name that there is room for. */
  function firstOf(groups: readonly RateGroup[], nowMs: number): readonly [MovingWindow] {
    const before = sharedBefore(groups, undefined, nowMs);
    return [before.length === 0 ? makeMovingWindow() : joinMovingWindows(before)];
  }

  return {
    find(name, groups, nowMs) {
      const known = entries.get(name);
      if (known !== undefined) return known.windows;
      const full = groupWithoutRoom(groups, nowMs);
      if (full !== undefined) {
        sharedCount += 1;
        const windows = sharedOf(full, groups, nowMs);
        shared.set(full, windows[0]);
        return windows;
      }
      const windows = firstOf(groups, nowMs);
      entries.set(name, { windows, groups });
      for (const { name: group } of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
      return windows;
    },
    look(name, groups, nowMs) {
      const known = entries.get(name);
      if (known !== undefined) return known.windows;
      const full = groupWithoutRoom(groups, nowMs);
      return full === undefined ? firstOf(groups, nowMs) : sharedOf(full, groups, nowMs);
    },
    sweep,
    takeShared() {
      const count = sharedCount;
      sharedCount = 0;
      return count;
    },
    get size() {
      return entries.size + shared.size;
    },
  };
}

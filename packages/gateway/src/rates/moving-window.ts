/**
 * How often something happened within the last period. What happens close together is counted as one slice, which leaves
 * the window as a whole once the last of it would: so a window holds a bounded number of slices, and within any period,
 * wherever it begins, never more fits than the limit. It frees what it holds up to a sixtieth of the period late. Knows no
 * clock.
 */

/** Parts of a period within which what happens becomes one slice. A window has at most two more slices than that. */
const SLICES = 60;

interface Slice {
  readonly firstMs: number;
  lastMs: number;
  count: number;
}

export interface MovingWindow {
  slices: Slice[];
  /** Of all slices. */
  total: number;
  /** The longest period that it was asked about, in milliseconds. */
  periodMs: number;
}

export function makeMovingWindow(): MovingWindow {
  return { slices: [], total: 0, periodMs: 0 };
}

/** One that holds what all of these hold, and goes on by itself. */
export function joinMovingWindows(windows: readonly MovingWindow[]): MovingWindow {
  const slices = windows.flatMap((window) => window.slices.map((slice) => ({ ...slice })));
  return {
    slices: slices.sort((a, b) => a.lastMs - b.lastMs),
    total: windows.reduce((sum, { total }) => sum + total, 0),
    periodMs: windows.reduce((longest, { periodMs }) => Math.max(longest, periodMs), 0),
  };
}

/** What the period that ends at `nowMs` holds. */
export function countIn(window: MovingWindow, periodMs: number, nowMs: number): number {
  window.periodMs = Math.max(window.periodMs, periodMs);
  // Kept for the longest period that anybody compares with.
  const gone = window.slices.findIndex(({ lastMs }) => nowMs - lastMs < window.periodMs);
  const ended = gone < 0 ? window.slices.splice(0) : gone === 0 ? [] : window.slices.splice(0, gone);
  for (const { count } of ended) window.total -= count;
  if (periodMs === window.periodMs) return window.total;
  return window.slices.reduce((sum, { lastMs, count }) => (nowMs - lastMs < periodMs ? sum + count : sum), 0);
}

/** Counts one more, behind `countIn` at the same time. */
export function countOne(window: MovingWindow, nowMs: number): void {
  const last = window.slices.at(-1);
  window.total += 1;
  if (last !== undefined && nowMs - last.firstMs < window.periodMs / SLICES) {
    last.lastMs = nowMs;
    last.count += 1;
  } else window.slices.push({ firstMs: nowMs, lastMs: nowMs, count: 1 });
}

/** Milliseconds until one more would fit below `limit`; 0 when it does. */
export function waitMs(window: MovingWindow, periodMs: number, limit: number, nowMs: number): number {
  let left = countIn(window, periodMs, nowMs);
  for (const { lastMs, count } of window.slices) {
    if (left < limit) break;
    if (nowMs - lastMs >= periodMs) continue;
    left -= count;
    if (left < limit) return lastMs + periodMs - nowMs;
  }
  return 0;
}

/** Milliseconds until the first of what it holds leaves; 0 when it holds nothing. */
export function firstFreeMs(window: MovingWindow, periodMs: number, nowMs: number): number {
  const first = window.slices.find(({ lastMs }) => nowMs - lastMs < periodMs);
  return first === undefined ? 0 : first.lastMs + periodMs - nowMs;
}

/** Whether it may be forgotten: nothing that it counted is within any period that was asked about. */
export function isIdle(window: MovingWindow, nowMs: number): boolean {
  const last = window.slices.at(-1);
  return last === undefined || nowMs - last.lastMs >= window.periodMs;
}

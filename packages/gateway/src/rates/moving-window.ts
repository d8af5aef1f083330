/**
 * How often something happened within the last period. What happens close together is counted as one slice, which leaves
 * the window as a whole once the last of it would: so a window holds a bounded number of slices, and within any period,
 * wherever it begins, never more fits than the limit. It frees what it holds up to a thirtieth of the period late. Knows no
 * clock.
 */

/** Parts of a period within which what happens becomes one slice. A window has at most two more slices than that. */
const SLICES = 30;
/** A slice is three numbers in a row: when its first and its last happened, and how many there were. */
const FIRST = 0;
const LAST = 1;
const COUNT = 2;
const WIDTH = 3;

export interface MovingWindow {
  /** The slices, the oldest first, as one list of numbers: there may be many windows. */
  readonly slices: number[];
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
  const slices = windows.flatMap((window) => [...slicesOf(window)]).sort((a, b) => a.lastMs - b.lastMs);
  return {
    slices: slices.flatMap(({ firstMs, lastMs, count }) => [firstMs, lastMs, count]),
    total: windows.reduce((sum, { total }) => sum + total, 0),
    periodMs: windows.reduce((longest, { periodMs }) => Math.max(longest, periodMs), 0),
  };
}

/** What the period that ends at `nowMs` holds. */
export function countIn(window: MovingWindow, periodMs: number, nowMs: number): number {
  const { slices } = window;
  window.periodMs = Math.max(window.periodMs, periodMs);
  // Kept for the longest period that anybody compares with.
  let gone = 0;
  while (gone < slices.length && nowMs - at(slices, gone + LAST) >= window.periodMs) {
    window.total -= at(slices, gone + COUNT);
    gone += WIDTH;
  }
  if (gone > 0) slices.splice(0, gone);
  if (periodMs === window.periodMs) return window.total;
  let count = 0;
  for (const slice of slicesOf(window)) if (nowMs - slice.lastMs < periodMs) count += slice.count;
  return count;
}

/** Counts one more, behind `countIn` at the same time. */
export function countOne(window: MovingWindow, nowMs: number): void {
  const { slices } = window;
  const last = slices.length - WIDTH;
  window.total += 1;
  if (last >= 0 && nowMs - at(slices, last + FIRST) < window.periodMs / SLICES) {
    slices[last + LAST] = nowMs;
    slices[last + COUNT] = at(slices, last + COUNT) + 1;
  } else slices.push(nowMs, nowMs, 1);
}

/** Milliseconds until one more would fit below `limit`; 0 when it does. */
export function waitMs(window: MovingWindow, periodMs: number, limit: number, nowMs: number): number {
  let left = countIn(window, periodMs, nowMs);
  if (left < limit) return 0;
  for (const { lastMs, count } of slicesOf(window)) {
    if (nowMs - lastMs >= periodMs) continue;
    left -= count;
    if (left < limit) return lastMs + periodMs - nowMs;
  }
  return 0;
}

/** Milliseconds until the first of what it holds leaves; 0 when it holds nothing. */
export function firstFreeMs(window: MovingWindow, periodMs: number, nowMs: number): number {
  for (const { lastMs } of slicesOf(window)) if (nowMs - lastMs < periodMs) return lastMs + periodMs - nowMs;
  return 0;
}

/** Whether it may be forgotten: nothing that it counted is within any period that was asked about. */
export function isIdle({ slices, periodMs }: MovingWindow, nowMs: number): boolean {
  return slices.length === 0 || nowMs - at(slices, slices.length - WIDTH + LAST) >= periodMs;
}

function* slicesOf({
  slices,
}: MovingWindow): Generator<{ readonly firstMs: number; readonly lastMs: number; readonly count: number }> {
  for (let from = 0; from < slices.length; from += WIDTH) {
    yield { firstMs: at(slices, from + FIRST), lastMs: at(slices, from + LAST), count: at(slices, from + COUNT) };
  }
}

function at(numbers: readonly number[], index: number): number {
  return numbers[index] as number; // within bounds: slices are added and taken away whole
}

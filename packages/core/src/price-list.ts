/**
 * What a call costs in credits: the entry of exactly this tool or route, else the closest pattern that matches, else
 * `UNLISTED_CREDITS`. Patterns are those of caveats and rules (`upstream/tool` with `*`); the closest is the one with the
 * most characters written out, of those the one with the fewest stars, and of those the one that writes out the
 * upstream. A tenant's default is its entry for every name, which is the widest pattern there is.
 */
import { compileToolPattern, type Price, type ToolPattern } from "@writ/contract";

/** The cost of what no entry matches: a budget of credits never overlooks a call because a list is incomplete. */
export const UNLISTED_CREDITS = 1;

/** Names whose cost is remembered. Agents can attempt any name, so the memory starts afresh when it is full. */
const REMEMBERED_MAX = 4_096;

interface Entry {
  readonly price: Price;
  readonly pattern: ToolPattern;
}

export interface PriceList {
  put(id: string, price: Price): void;
  remove(id: string): void;
  /** Whole credits of one call of a tool or route. */
  creditsOf(upstream: string, name: string): number;
}

/** Whether an entry says what it is for and what that costs. */
export function isReadablePrice({ pattern, credits }: Price): boolean {
  return compileToolPattern(pattern) !== undefined && Number.isSafeInteger(credits) && credits >= 0;
}

export function createPriceList(): PriceList {
  const exact = new Map<string, Price>();
  const entries = new Map<string, Entry>();
  let sorted: readonly Entry[] | undefined;
  let remembered = new Map<string, number>();

  function forget(id: string): void {
    const old = entries.get(id);
    if (old === undefined) return;
    entries.delete(id);
    exact.delete(old.price.pattern);
    sorted = undefined;
  }

  function find(upstream: string, name: string): number {
    const own = exact.get(`${upstream}/${name}`);
    if (own !== undefined) return own.credits;
    sorted ??= [...entries.values()].sort(byCloseness);
    return sorted.find(({ pattern }) => pattern.matches(upstream, name))?.price.credits ?? UNLISTED_CREDITS;
  }

  return {
    put(id, price) {
      const pattern = compileToolPattern(price.pattern);
      if (pattern === undefined || !isReadablePrice(price)) throw new TypeError("a price is unreadable");
      forget(id);
      entries.set(id, { price, pattern });
      // Also one with stars: a route is named by its own pattern.
      exact.set(price.pattern, price);
      sorted = undefined;
      remembered = new Map();
    },
    remove(id) {
      forget(id);
      remembered = new Map();
    },
    creditsOf(upstream, name) {
      const key = `${upstream}/${name}`;
      let credits = remembered.get(key);
      if (credits === undefined) {
        if (remembered.size >= REMEMBERED_MAX) remembered = new Map();
        credits = find(upstream, name);
        remembered.set(key, credits);
      }
      return credits;
    },
  };
}

/** The closest pattern first; of equally close ones the first by its text, so that the order of making them is no matter. */
function byCloseness({ pattern: a, price: left }: Entry, { pattern: b, price: right }: Entry): number {
  const [leftStars, rightStars] = [starsOf(left), starsOf(right)];
  const [leftWritten, rightWritten] = [left.pattern.length - leftStars, right.pattern.length - rightStars];
  return (
    rightWritten - leftWritten ||
    leftStars - rightStars ||
    Number(a.upstream === undefined) - Number(b.upstream === undefined) ||
    (left.pattern < right.pattern ? -1 : 1)
  );
}

function starsOf({ pattern }: Price): number {
  return pattern.split("*").length - 1;
}

/**
 * What a call costs in credits: the entry of exactly this tool or route, else the longest pattern that matches, else
 * `UNLISTED_CREDITS`. Patterns are those of caveats and rules (`upstream/tool` with `*`); a tenant's default is its entry
 * for every name, which is the shortest pattern there is.
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
    sorted ??= [...entries.values()].sort(byLength);
    return sorted.find(({ pattern }) => pattern.matches(upstream, name))?.price.credits ?? UNLISTED_CREDITS;
  }

  return {
    put(id, price) {
      const pattern = compileToolPattern(price.pattern);
      if (pattern === undefined || !isReadablePrice(price)) throw new TypeError("a price is unreadable");
      forget(id);
      entries.set(id, { price, pattern });
      if (!price.pattern.includes("*")) exact.set(price.pattern, price);
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

/** The longest pattern first; of equally long ones the first by its text, so that the order of making them is no matter. */
function byLength(a: Entry, b: Entry): number {
  const [left, right] = [a.price.pattern, b.price.pattern];
  return right.length - left.length || (left < right ? -1 : 1);
}

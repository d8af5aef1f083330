/**
 * What a call costs in credits: the entry of exactly this tool, else the closest pattern that matches, else
 * `UNLISTED_CREDITS`. Patterns are those of caveats and rules (`upstream/tool` with `*`); the closest is the one with the
 * most characters written out, of those the one with the fewest stars, and of those the one that writes out the
 * upstream. A tenant's default is its entry for every name, which is the widest pattern there is.
 *
 * A request to an HTTP API is named by its method and path, as they are judged and sent: `GET /v1/items/7`, without the
 * query. Whichever route it takes is no matter, but whatever takes a route matches the route's own pattern: an entry
 * with several methods, or with `/**` at its end, stands for one of each and for the path without it, paths are spelt as
 * those of requests, and a slash at the end makes no difference.
 */
import { compileGlob, compileToolPattern, type HttpResource, type Price, readHttpSegment } from "@writ/contract";

/** The cost of what no entry matches: a budget of credits never overlooks a call because a list is incomplete. */
export const UNLISTED_CREDITS = 1;

/** Names whose cost is remembered. Agents can attempt any name, so the memory starts afresh when it is full. */
const REMEMBERED_MAX = 4_096;
/** Characters of such a name: a longer one is looked up each time, so that no holder fills the memory with paths. */
const REMEMBERED_LENGTH_MAX = 256;

/** As many methods as a route can have; what lists more is no list of methods. */
const METHODS_MAX = 16;

/** The part of a request's name by which it is looked up beside its own, for the entries of any method. */
const ANY_METHOD = "* ";

export interface PriceList {
  put(id: string, price: Price): void;
  remove(id: string): void;
  /** Whole credits of one call of a tool or model, or of a request: what `http` is counts then, and not the name. */
  creditsOf(upstream: string, name: string, http?: Pick<HttpResource, "method" | "path">): number;
}

/** Whether an entry says what it is for and what that costs. */
export function isReadablePrice({ pattern, credits }: Price): boolean {
  return compileToolPattern(pattern) !== undefined && Number.isSafeInteger(credits) && credits >= 0;
}

export function createPriceList(): PriceList {
  const exact = new Map<string, Price>();
  const entries = new Map<string, Price>();
  let tools: Index | undefined;
  let requests: Index | undefined;

  function forget(id: string): void {
    const old = entries.get(id);
    if (old === undefined) return;
    entries.delete(id);
    exact.delete(old.pattern);
  }

  return {
    put(id, price) {
      if (!isReadablePrice(price)) throw new TypeError("a price is unreadable");
      forget(id);
      entries.set(id, price);
      // Also one with stars, which a tool's name may have.
      exact.set(price.pattern, price);
      tools = requests = undefined;
    },
    remove(id) {
      forget(id);
      tools = requests = undefined;
    },
    creditsOf(upstream, name, http) {
      if (http !== undefined) {
        requests ??= createIndex(entries.values(), requestForms, ANY_METHOD);
        const path = withoutSlash(http.path);
        return requests(upstream, `${http.method} ${path}`, ANY_METHOD + path);
      }
      const own = exact.get(`${upstream}/${name}`);
      if (own !== undefined) return own.credits;
      tools ??= createIndex(entries.values(), (text) => [text], "");
      return tools(upstream, name);
    },
  };
}

// --- how a request is named in an entry ---------------------------------------------------------------------------

/** The globs that an entry's name stands for among requests. */
function requestForms(name: string): readonly string[] {
  const space = name.indexOf(" ");
  if (space < 1) return [name];
  const path = withoutSlash(spellPath(name.slice(space + 1)));
  const paths = path.endsWith("/**") && path.length > 3 ? [path, path.slice(0, -3)] : [path];
  const methods = name.slice(0, space).split(",");
  if (methods.length > METHODS_MAX) return [name];
  return methods.flatMap((method) => paths.map((each) => `${method} ${each}`));
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** What is written out of a path, in the spelling of requests; what has none stays, and matches none. */
function spellPath(path: string): string {
  return path
    .split(/([/*])/)
    .map(spell)
    .join("");
}

function spell(text: string): string {
  const spelt = readHttpSegment(text);
  // An escaped star is none that stands for more.
  return typeof spelt !== "string" || spelt.includes("*") ? text : spelt;
}

// --- finding the closest ------------------------------------------------------------------------------------------

/** The credits of the closest form that matches a name. `other` is where else to look for forms of that name. */
type Index = (upstream: string, name: string, other?: string) => number;

interface Form {
  readonly price: Price;
  readonly upstream: string;
  readonly text: string;
  readonly stars: number;
  readonly written: number;
  matches(upstream: string, name: string): boolean;
}

interface RankedForm extends Form {
  readonly rank: number;
}

/** Forms of one upstream by how they begin, the closest first, and the lengths of these beginnings. */
interface Shelf {
  readonly heads: Map<string, RankedForm[]>;
  readonly lengths: number[];
}

/**
 * All forms, by upstream and by what is written out before the first star: a name is compared with those alone that
 * begin as it does, however many others there are. The star of `skipped` at the beginning is none of these.
 */
function createIndex(
  prices: Iterable<Price>,
  formsOf: (name: string) => readonly string[],
  skipped: typeof ANY_METHOD | "",
): Index {
  const forms = [...prices].flatMap((price) => makeForms(price, formsOf)).sort(byCloseness);
  const shelves = new Map<string, Shelf>();
  for (const [rank, form] of forms.entries()) {
    // No upstream's name is empty: that is the shelf of those that have a star there.
    const key = form.upstream.includes("*") ? "" : form.upstream;
    const shelf: Shelf = shelves.get(key) ?? { heads: new Map(), lengths: [] };
    shelves.set(key, shelf);
    const head = headOf(form.text, skipped);
    const alike = shelf.heads.get(head);
    if (alike === undefined) shelf.heads.set(head, [{ ...form, rank }]);
    else alike.push({ ...form, rank });
    if (!shelf.lengths.includes(head.length)) shelf.lengths.push(head.length);
  }
  for (const { lengths } of shelves.values()) lengths.sort((a, b) => a - b);
  let remembered = new Map<string, number>();

  function find(upstream: string, name: string, other: string | undefined): number {
    let best: RankedForm | undefined;
    for (const shelf of [shelves.get(upstream), shelves.get("")]) {
      if (shelf === undefined) continue;
      for (const text of other === undefined ? [name] : [name, other]) {
        for (const length of shelf.lengths) {
          if (length > text.length) break;
          const alike = shelf.heads.get(text.slice(0, length)) ?? [];
          const found = alike.find((form) => form.matches(upstream, name));
          if (found !== undefined && (best === undefined || found.rank < best.rank)) best = found;
        }
      }
    }
    return best?.price.credits ?? UNLISTED_CREDITS;
  }

  return (upstream, name, other) => {
    if (name.length > REMEMBERED_LENGTH_MAX) return find(upstream, name, other);
    const key = `${upstream}/${name}`;
    let credits = remembered.get(key);
    if (credits === undefined) {
      if (remembered.size >= REMEMBERED_MAX) remembered = new Map();
      credits = find(upstream, name, other);
      remembered.set(key, credits);
    }
    return credits;
  };
}

/** What is written out at the beginning, which may begin with the star of `skipped`. */
function headOf(text: string, skipped: string): string {
  const star = text.indexOf("*", text.startsWith(skipped) ? skipped.length : 0);
  return star < 0 ? text : text.slice(0, star);
}

function makeForms(price: Price, formsOf: (name: string) => readonly string[]): readonly Form[] {
  const slash = price.pattern.indexOf("/");
  const upstream = price.pattern.slice(0, slash);
  const isUpstream = compileGlob(upstream);
  return formsOf(price.pattern.slice(slash + 1)).map((text) => {
    const isName = compileGlob(text);
    const whole = `${upstream}/${text}`;
    const stars = whole.split("*").length - 1;
    return {
      price,
      upstream,
      text,
      stars,
      written: whole.length - stars,
      // Neither part of a name that matches is ever empty.
      matches: (u, name) => u !== "" && name !== "" && isUpstream(u) && isName(name),
    };
  });
}

/**
 * The closest form first; of equally close ones that of the shorter entry, which stands for less, and then the first by
 * its text, so that the order of making them is no matter.
 */
function byCloseness(a: Form, b: Form): number {
  const [left, right] = [a.price.pattern, b.price.pattern];
  return (
    b.written - a.written ||
    a.stars - b.stars ||
    Number(a.upstream.includes("*")) - Number(b.upstream.includes("*")) ||
    left.length - right.length ||
    (left < right ? -1 : 1)
  );
}

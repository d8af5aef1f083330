/**
 * Finds texts that speak of another upstream's tools. Two ways of speaking count: a name that is no ordinary word
 * ("send_mail"), unless the upstream has a tool of that name itself; and any name together with its upstream ("mail/search",
 * "the search tool of mail"), whatever tools there are. Knows English phrases only, and few: what it finds is shown to
 * a person, and a phrase that people use about their own tools must not be among it.
 */
import { skeleton } from "./skeletons.ts";

export interface MentionedTool {
  readonly upstream: string;
  readonly name: string;
}

interface Word {
  /** In lower case, without the punctuation around it. */
  readonly text: string;
  readonly isPossessive: boolean;
  readonly isQuoted: boolean;
}

/** No name of a tool with its upstream is longer, however it is spelt. */
const WORD_LENGTH_MAX = 1_024;
/** Words that are remembered within one search: a text may be one word over and over. */
const RESOLVED_MAX = 10_000;
/** Shorter names are no identifiers: "a.b" and "x-1" stand in texts about anything. */
const IDENTIFIER_LENGTH_MIN = 4;
const IDENTIFIER = /[_\-./]|\d|\p{Ll}\p{Lu}/u;
/**
 * Between an upstream and a tool. With the sure ones, which are Writ's own, another's tool is meant even where the upstream
 * calls one of its tools so in full; with the others that one is meant.
 */
const SURE_SEPARATORS = ["/", "__"];
const SEPARATORS = [...SURE_SEPARATORS, ".", ":", "_", "-"];

/** Characters of words, with those that look like a separator and are none to Unicode's normalization. */
const WORD = /[\p{L}\p{M}\p{N}_\-./:'’∕⁄⧸∶‐]+/gu;
/** Those that a name neither begins nor ends with: a sentence's punctuation is no part of it. */
const PUNCTUATION = new Set("-./:'’∕⁄⧸∶‐");
const EMPHASIS = new Set("_");
const QUOTES = new Set("\"'`“”‘’«»");

const TOOL = new Set(["tool", "tools", "function", "functions", "method"]);
const SERVER = new Set(["mcp", "server", "upstream"]);
const GIVEN = new Set(["provided", "offered", "exposed", "given"]);
const OF = new Set(["of", "from", "by"]);
const ON = new Set(["on", "in", "at"]);
const ARTICLE = new Set(["the", "your", "its", "this", "that"]);

/**
 * Prepares the search for tools of others in texts of an upstream that lists `listed`. What is found is named
 * `upstream/tool`.
 */
export function compileMentions(
  own: { readonly upstream: string; readonly listed: ReadonlySet<string> },
  foreign: readonly MentionedTool[],
): (texts: readonly string[]) => readonly string[] {
  if (foreign.length === 0) return () => [];
  const ownNames = new Set([...own.listed].map((name) => name.toLowerCase()));
  const ownQualified = new Set([...ownNames].flatMap((name) => qualify({ upstream: own.upstream, name })));
  const byName = new Map<string, Map<string, MentionedTool>>();
  const qualified = new Map<string, MentionedTool>();
  const identifiers = new Map<string, MentionedTool>();
  for (const tool of foreign) {
    const name = tool.name.toLowerCase();
    const others = byName.get(name);
    if (others === undefined) byName.set(name, new Map([[tool.upstream, tool]]));
    else others.set(tool.upstream, tool);
    for (const whole of qualify(tool)) qualified.set(whole, tool);
    if (isIdentifier(tool.name)) identifiers.set(name, tool);
  }
  const resolve = createResolver(() => [
    ...qualified.keys(),
    ...byName.keys(),
    ...foreign.map((tool) => tool.upstream),
  ]);

  /** The name that a word is, if it is one: as it stands, without the marks of emphasis, or as it looks. */
  function settle(word: string): string {
    if (ownNames.has(word) || byName.has(word)) return word;
    const plain = trim(word, EMPHASIS);
    return ownNames.has(plain) ? plain : resolve(plain);
  }

  function named(word: string): MentionedTool | undefined {
    const tool = qualified.get(word);
    if (tool !== undefined && !ownQualified.has(word)) {
      const isSure = SURE_SEPARATORS.some((separator) => word.startsWith(tool.upstream + separator));
      if (isSure || !ownNames.has(word)) return tool;
    }
    return ownNames.has(word) ? undefined : identifiers.get(word);
  }

  return (texts) => {
    const found = new Set<string>();
    const add = ({ upstream, name }: MentionedTool): void => void found.add(`${upstream}/${name}`);
    for (const text of texts) {
      const words = readWords(text, settle);
      for (const [at, { text: word }] of words.entries()) {
        const tool = named(word);
        if (tool !== undefined) add(tool);
        const others = byName.get(word);
        if (others === undefined) continue;
        for (const upstream of upstreamsBeside(words, at, identifiers.has(word))) {
          const meant = others.get(upstream);
          if (meant !== undefined) add(meant);
        }
      }
    }
    return [...found];
  };
}

function qualify({ upstream, name }: MentionedTool): readonly string[] {
  return SEPARATORS.map((separator) => `${upstream}${separator}${name}`.toLowerCase());
}

function isIdentifier(name: string): boolean {
  return IDENTIFIER.test(name) && name.length >= IDENTIFIER_LENGTH_MIN;
}

function readWords(text: string, settle: (word: string) => string): readonly Word[] {
  const plain = text.normalize("NFKC").replaceAll(/\p{Default_Ignorable_Code_Point}/gu, "");
  const words: Word[] = [];
  for (const { 0: raw, index } of plain.matchAll(WORD)) {
    const inner = trim(raw, PUNCTUATION);
    if (inner === "") continue;
    const start = index + raw.indexOf(inner);
    const end = start + inner.length;
    const bare = inner.replace(/['’]s$/, "");
    words.push({
      text: settle(bare.toLowerCase()),
      isPossessive: bare !== inner || /['’]/.test(plain.charAt(end)),
      isQuoted: QUOTES.has(plain.charAt(start - 1)) && QUOTES.has(plain.charAt(end)),
    });
  }
  return words;
}

function trim(text: string, characters: ReadonlySet<string>): string {
  let [start, end] = [0, text.length];
  while (start < end && characters.has(text.charAt(start))) start += 1;
  while (end > start && characters.has(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** The words that the name at this place is said to be a tool of, if they are upstreams. */
function upstreamsBeside(words: readonly Word[], at: number, isName: boolean): readonly string[] {
  const found: string[] = [];
  const isTold = isName || words[at]?.isQuoted === true;
  const isAfter = TOOL.has(words[at + 1]?.text ?? "");
  const isBehind = TOOL.has(words[at - 1]?.text ?? "");
  const isTool = isTold || isAfter || isBehind;

  // "the echo tool of everything", "echo on the everything server"
  let next = isAfter ? at + 2 : at + 1;
  if (GIVEN.has(words[next]?.text ?? "")) next += 1;
  const link = words[next]?.text ?? "";
  if (OF.has(link) || ON.has(link)) {
    next += ARTICLE.has(words[next + 1]?.text ?? "") ? 2 : 1;
    const isServer = SERVER.has(words[next + 1]?.text ?? "");
    const upstream = words[next]?.text;
    if (upstream !== undefined && (isServer || (isTool && OF.has(link)))) found.push(upstream);
  }

  // "everything's echo tool", "the everything server's echo"
  let before = isBehind ? at - 2 : at - 1;
  let isPossessive = false;
  let isServer = false;
  for (let passed = 0; passed < SERVER.size && SERVER.has(words[before]?.text ?? ""); passed += 1, before -= 1) {
    isServer = true;
    isPossessive ||= words[before]?.isPossessive === true;
  }
  const owner = words[before];
  isPossessive ||= owner?.isPossessive === true;
  if (owner !== undefined && isPossessive && (isTool || isServer)) found.push(owner.text);
  return found;
}

/** Finds the known word that a word of other letters looks like; every other word is itself. */
function createResolver(known: () => readonly string[]): (word: string) => string {
  let bySkeleton: Map<string, string> | undefined;
  const resolved = new Map<string, string>();
  return (word) => {
    // What looks alike within ASCII ("1" and "l") is left alone: ordinary words would be taken for names.
    if (word.length > WORD_LENGTH_MAX || /^[\x20-\x7e]*$/.test(word)) return word;
    const before = resolved.get(word);
    if (before !== undefined) return before;
    bySkeleton ??= new Map(known().map((each) => [skeleton(each.toLowerCase()), each.toLowerCase()]));
    const found = bySkeleton.get(skeleton(word)) ?? word;
    if (resolved.size < RESOLVED_MAX) resolved.set(word, found);
    return found;
  };
}

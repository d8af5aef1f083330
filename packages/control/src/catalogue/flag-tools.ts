/**
 * What a reviewer should look at before a tool is pinned: names that can be taken for others, definitions with characters
 * that nobody sees, and those that speak of another upstream's tools. A flag is shown and permits nothing; some
 * keep a tool from being pinned together with the rest.
 */
import type { ToolFlag } from "@writ/contract/admin";
import { hiddenCharacters } from "./hidden-characters.ts";
import { skeletons } from "./skeletons.ts";
import { compileMentions } from "./tool-mentions.ts";

/** A tool that is listed now, with every text that its definition holds (names of members included). */
export interface FlaggedTool {
  readonly name: string;
  readonly texts: readonly string[];
  /** Its definition but for name and title, in canonical form; undefined when that is too little to know it by. */
  readonly signature: string | undefined;
}

export interface Surroundings {
  readonly upstream: string;
  /** All tools that the upstream lists now, the flagged one among them. */
  readonly listed: ReadonlySet<string>;
  /** Tools of this upstream that are pinned and not listed any more, by signature. */
  readonly missing: ReadonlyMap<string, string>;
  /** Tools that are pinned, of all upstreams of the tenant. */
  readonly pinned: readonly { readonly upstream: string; readonly name: string }[];
}

/** Shorter names are near each other by chance. */
const NEAR_LENGTH_MIN = 4;
/** Tools named in one flag. */
const NAMED_MAX = 3;

/** Prepares what all tools of a catalogue are compared with; the answer flags one of them. */
export function compileFlags(around: Surroundings): (tool: FlaggedTool) => readonly ToolFlag[] {
  const others: { readonly label: string; readonly upstream: string; readonly name: string }[] = [];
  const known = new Set<string>();
  const add = (upstream: string, name: string): void => {
    // Neither an upstream's name nor what is before the first slash contains one.
    const label = `${upstream}/${name}`;
    if (known.has(label)) return;
    known.add(label);
    others.push({ label, upstream, name });
  };
  for (const { upstream, name } of around.pinned) add(upstream, name);
  for (const name of around.listed) add(around.upstream, name);

  const bySkeleton = new Map<string, string[]>();
  const byName = new Map<string, string[]>();
  const byNeighbour = new Map<string, { readonly label: string; readonly name: string }[]>();
  for (const { label, upstream, name } of others) {
    for (const skeleton of skeletons(name)) push(bySkeleton, skeleton, label);
    if (upstream !== around.upstream) push(byName, name, label);
    for (const neighbour of neighbours(name)) push(byNeighbour, neighbour, { label, name });
  }
  const mention = compileMentions(
    around,
    others.filter(({ upstream }) => upstream !== around.upstream),
  );

  return ({ name, texts, signature }) => {
    const flags: ToolFlag[] = [];
    const flag = (code: ToolFlag["code"], detail: string): void => void flags.push({ code, detail });
    const hidden = hiddenCharacters([name, ...texts]);
    if (hidden.length > 0) flag("hidden_characters", `holds ${hidden.slice(0, NAMED_MAX).join(", ")}`);
    const scripts = mixedScripts(name);
    if (scripts.length > 0) flag("mixed_scripts", `its name mixes ${scripts.join(" and ")}`);
    const self = `${around.upstream}/${name}`;
    const alike = new Set(
      skeletons(name)
        .flatMap((skeleton) => bySkeleton.get(skeleton) ?? [])
        .filter((label) => nameOf(label) !== name),
    );
    if (alike.size > 0) flag("look_alike", `looks like ${some(alike)}`);
    const before = signature === undefined ? undefined : around.missing.get(signature);
    if (before !== undefined) flag("renamed", `is what was pinned as ${around.upstream}/${before}, which is gone`);
    const mentioned = mention(texts);
    if (mentioned.length > 0) flag("names_other_tool", `its definition names ${some(mentioned)}`);
    const same = byName.get(name) ?? [];
    if (same.length > 0) flag("same_name", `has the name of ${some(same)}`);
    const near = new Set(
      neighbours(name)
        .flatMap((neighbour) => byNeighbour.get(neighbour) ?? [])
        .filter((other) => other.name !== name && !alike.has(other.label) && isNear(name, other.name))
        .map(({ label }) => label),
    );
    near.delete(self);
    if (near.size > 0) flag("near_name", `is one character from ${some(near)}`);
    return flags;
  };
}

function nameOf(label: string): string {
  return label.slice(label.indexOf("/") + 1);
}

function some(labels: Iterable<string>): string {
  const all = [...labels].sort();
  const more = all.length - NAMED_MAX;
  return `${all.slice(0, NAMED_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function push<V>(map: Map<string, V[]>, key: string, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

// --- scripts ----------------------------------------------------------------------------------------------------

const SCRIPTS = ["Latin", "Cyrillic", "Greek", "Armenian", "Georgian", "Cherokee", "Hebrew", "Arabic", "Han", "Hangul"];
const SCRIPT_TESTS = SCRIPTS.map((script) => [script, new RegExp(`\\p{Script=${script}}`, "u")] as const);
/** Ordinary Japanese, Chinese and Korean names hold Latin letters too (UTS 39, highly restrictive). */
const BESIDE_LATIN = ["Han", "Hangul"];

function mixedScripts(name: string): readonly string[] {
  const scripts = SCRIPT_TESTS.filter(([, test]) => test.test(name)).map(([script]) => script);
  const counted = scripts.includes("Latin") ? scripts.filter((script) => !BESIDE_LATIN.includes(script)) : scripts;
  return counted.length > 1 ? counted : [];
}

// --- near names -------------------------------------------------------------------------------------------------

/** The name and all that one deletion makes of it: two names one edit apart have one of these in common. */
function neighbours(name: string): readonly string[] {
  const characters = [...name];
  if (characters.length < NEAR_LENGTH_MIN) return [];
  const all = new Set([name]);
  for (let at = 0; at < characters.length; at += 1) all.add(characters.toSpliced(at, 1).join(""));
  return [...all];
}

/** Whether one insertion, deletion or replacement makes one name of the other. */
function isNear(one: string, other: string): boolean {
  const [a, b] = [[...one], [...other]];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  return Math.max(a.length, b.length) - start - end === 1;
}

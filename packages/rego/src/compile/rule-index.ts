/**
 * Finds the rules of a group that can apply, by what they demand of the input or of an argument: of a thousand rules
 * that each begin with `input.tool == "…"`, only those for the tool at hand are looked at, and those that demand
 * nothing. Demands on several places are looked at one after the other, the most telling first.
 */
import { Boxed } from "../boxed.ts";
import type { Evaluation, Frame } from "../run/evaluation.ts";
import { isArray, isSet, type Key, keyOf, lookUp, type Value } from "../value.ts";
import type { PlanBody, PlanTerm, Step } from "./plan.ts";

/** Where the values stand that rules demand. */
type Place =
  | { readonly kind: "input"; readonly path: readonly Value[] }
  | { readonly kind: "argument"; readonly slot: number };

interface Demand {
  readonly place: Place;
  readonly values: readonly Value[];
}

/** Fewer rules are looked at one by one. */
const RULES_MIN = 3;
const DEPTH_MAX = 4;
/** How often rules without a demand may be repeated beside those with one, in all. */
const REPEATS_MAX = 20_000;

export interface RuleIndex<T> {
  select(evaluation: Evaluation, frame: Frame): readonly T[];
}

/** What a rule demands; `isGiven` tells the slots that have a value when the rule is run. */
export function demandsOf(steps: readonly Step[], body: PlanBody, isGiven: (slot: number) => boolean): Demand[] {
  const demands: Demand[] = [];
  const aliases = new Map<number, Place>();
  for (const step of [...steps, ...body.flatMap((literal) => literal.steps)]) {
    if (step.op === "bind") {
      const place = placeOf(step.term, isGiven, aliases);
      if (place !== undefined) aliases.set(step.slot, place);
    } else if (step.op === "equal") {
      const [left, right] = [step.left, step.right];
      if (right.kind === "constant") addDemand(demands, placeOf(left, isGiven, aliases), [right.value]);
      else if (left.kind === "constant") addDemand(demands, placeOf(right, isGiven, aliases), [left.value]);
    } else if (step.op === "test" && step.term.kind === "call" && step.term.callee.kind === "builtin") {
      const [member, collection] = step.term.args;
      if (step.term.callee.name !== "internal.member_2" || member === undefined) continue;
      if (collection?.kind !== "constant") continue;
      const { value } = collection;
      const members = isArray(value) ? value : isSet(value) ? value.sorted() : undefined;
      if (members !== undefined) addDemand(demands, placeOf(member, isGiven, aliases), members);
    }
  }
  return demands;
}

function addDemand(demands: Demand[], place: Place | undefined, values: readonly Value[]): void {
  if (place !== undefined) demands.push({ place, values });
}

function placeOf(
  term: PlanTerm,
  isGiven: (slot: number) => boolean,
  aliases: ReadonlyMap<number, Place>,
): Place | undefined {
  if (term.kind === "local") return isGiven(term.slot) ? { kind: "argument", slot: term.slot } : aliases.get(term.slot);
  if (term.kind === "input") return { kind: "input", path: [] };
  if (term.kind !== "lookUp" || term.base.kind !== "input") return undefined;
  const path: Value[] = [];
  for (const step of term.path) {
    if (step.kind !== "constant") return undefined;
    path.push(step.value);
  }
  return { kind: "input", path };
}

interface Indexed<T> {
  readonly item: T;
  readonly demands: readonly Demand[];
}

/** An index over rules with their demands; undefined when looking at all of them costs no more. */
export function buildRuleIndex<T>(rules: readonly Indexed<T>[]): RuleIndex<T> | undefined {
  return buildLevel(rules, 0, { left: REPEATS_MAX });
}

function buildLevel<T>(
  rules: readonly Indexed<T>[],
  depth: number,
  repeats: { left: number },
): RuleIndex<T> | undefined {
  if (rules.length < RULES_MIN || depth > DEPTH_MAX) return undefined;
  const place = bestPlace(rules);
  if (place === undefined) return undefined;
  const name = nameOfPlace(place);
  const byValue = new Map<Key, Indexed<T>[]>();
  const without: Indexed<T>[] = [];
  for (const rule of rules) {
    const demand = rule.demands.find((candidate) => nameOfPlace(candidate.place) === name);
    if (demand === undefined) {
      without.push(rule);
      continue;
    }
    const rest = { item: rule.item, demands: rule.demands.filter((candidate) => candidate !== demand) };
    for (const key of new Set(demand.values.map(keyOf))) {
      const list = byValue.get(key);
      if (list === undefined) byValue.set(key, [rest]);
      else list.push(rest);
    }
  }
  repeats.left -= byValue.size * without.length;
  if (repeats.left < 0) return undefined;
  const hasComposite = [...byValue.keys()].some((key) => typeof key === "string" && key.startsWith("\u0000"));
  const lists = new Map<Key, Level<T>>();
  for (const [key, list] of byValue) lists.set(key, makeLevel([...list, ...without], depth + 1, repeats));
  const otherwise = makeLevel(without, depth + 1, repeats);
  const read = readerOf(place);
  return {
    select(evaluation, frame) {
      const value = read(evaluation, frame);
      // An undefined place equals nothing, and a composite value costs more to name than the few rules do to look at.
      let level = otherwise;
      if (value !== undefined && (hasComposite || typeof value !== "object" || value === null || isNumberBox(value))) {
        level = lists.get(keyOf(value)) ?? otherwise;
      }
      return level.index === undefined ? level.all : level.index.select(evaluation, frame);
    },
  };
}

function isNumberBox(value: Value): boolean {
  return value instanceof Boxed && value.kind === "number";
}

interface Level<T> {
  readonly all: readonly T[];
  readonly index: RuleIndex<T> | undefined;
}

function makeLevel<T>(rules: readonly Indexed<T>[], depth: number, repeats: { left: number }): Level<T> {
  return { all: rules.map(({ item }) => item), index: buildLevel(rules, depth, repeats) };
}

/** The place on which most rules have a demand, and of these the one with most different values. */
function bestPlace<T>(rules: readonly Indexed<T>[]): Place | undefined {
  const found = new Map<string, { place: Place; rules: number; values: Set<Key> }>();
  for (const rule of rules) {
    const names = new Set<string>();
    for (const { place, values } of rule.demands) {
      const name = nameOfPlace(place);
      const entry = found.get(name) ?? { place, rules: 0, values: new Set<Key>() };
      found.set(name, entry);
      if (!names.has(name)) entry.rules += 1;
      names.add(name);
      for (const value of values) entry.values.add(keyOf(value));
    }
  }
  let best: { place: Place; score: number } | undefined;
  for (const { place, rules: count, values } of found.values()) {
    // How many rules a typical value would leave out.
    const score = count * (1 - 1 / (values.size + 1));
    if (count >= 2 && (best === undefined || score > best.score)) best = { place, score };
  }
  return best?.place;
}

function nameOfPlace(place: Place): string {
  return place.kind === "argument" ? `argument ${place.slot}` : `input ${String(keyOf(place.path))}`;
}

function readerOf(place: Place): (evaluation: Evaluation, frame: Frame) => Value | undefined {
  if (place.kind === "argument") {
    const { slot } = place;
    return (_, frame) => frame[slot] as Value | undefined; // arguments stand in the first places
  }
  const { path } = place;
  return (evaluation) => {
    let value = evaluation.input;
    for (let index = 0; index < path.length && value !== undefined; index += 1) {
      value = lookUp(value, path[index] as Value); // within the path
    }
    return value;
  };
}

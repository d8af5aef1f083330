/**
 * Built-ins that keep or remove what paths lead to: `json.filter`, `json.remove`. Paths are made into a tree first, so
 * that many paths cost one walk.
 */
import { ANY, ANY_OBJECT, arrayOf, STRING, setOf, unionOf } from "../types.ts";
import {
  isArray,
  isObject,
  isSet,
  type Key,
  keyOf,
  kindOf,
  ObjectBuilder,
  sortedEntries,
  type Value,
  ValueSet,
} from "../value.ts";
import { type Builtin, BuiltinError, builtin, objectOperand, operandError } from "./builtin.ts";

const PATH = unionOf(STRING, arrayOf(ANY));
const PATHS = unionOf(arrayOf(PATH), setOf(PATH));

/** What is at the end of a path is `"all"`. */
type PathTree = Map<Key, PathTree | "all">;

export const JSON_PATHS: readonly Builtin[] = [
  builtin("json.filter", [ANY_OBJECT, PATHS], ANY_OBJECT, (_, object, paths) =>
    keep(objectOperand(object, 1), treeOf(paths)),
  ),
  builtin("json.remove", [ANY_OBJECT, PATHS], ANY_OBJECT, (_, object, paths) =>
    without(objectOperand(object, 1), treeOf(paths)),
  ),
];

/**
 * The steps of a path: an array as it is, or a text with slashes between them, `~1` for a slash in a step and `~0` for a
 * tilde. Slashes at the start do not count. Undefined for what is no path.
 */
export function stepsOf(path: Value): readonly Value[] | undefined {
  if (isArray(path)) return path;
  if (typeof path !== "string") return undefined;
  if (path === "") return [];
  let start = 0;
  while (path[start] === "/") start += 1;
  return path
    .slice(start)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function treeOf(paths: Value): PathTree {
  if (!isArray(paths) && !isSet(paths)) throw operandError(2, ["set", "array"], paths);
  const root: PathTree = new Map();
  for (const path of isSet(paths) ? paths.sorted() : paths) {
    const steps = stepsOf(path);
    if (steps === undefined) {
      throw new BuiltinError(
        "eval_type_error",
        `operand 2 must be one of {set, array} containing string paths or array of path segments but got ${kindOf(path)}`,
      );
    }
    let node: PathTree | "all" = root;
    for (const [index, step] of steps.entries()) {
      if (node === "all") break; // a shorter path leads to all of this
      const key = keyOf(step);
      if (index === steps.length - 1) {
        node.set(key, "all");
        break;
      }
      let next: PathTree | "all" | undefined = node.get(key);
      if (next === undefined) {
        next = new Map();
        node.set(key, next);
      }
      node = next;
    }
  }
  return root;
}

function keep(value: Value, tree: PathTree | "all"): Value {
  if (tree === "all") return value;
  if (isArray(value)) {
    const kept: Value[] = [];
    for (const [index, item] of value.entries()) {
      const below = tree.get(String(index));
      if (below !== undefined) kept.push(keep(item, below));
    }
    return kept;
  }
  if (isSet(value)) {
    const kept = new ValueSet();
    for (const member of value.members()) {
      const below = tree.get(keyOf(member));
      if (below !== undefined) kept.add(keep(member, below));
    }
    return kept;
  }
  if (!isObject(value)) return value;
  const kept = new ObjectBuilder();
  for (const [key, member] of sortedEntries(value)) {
    const below = tree.get(keyOf(key));
    if (below !== undefined) kept.set(key, keep(member, below));
  }
  return kept.finish();
}

function without(value: Value, tree: PathTree): Value {
  if (isArray(value)) {
    const kept: Value[] = [];
    for (const [index, item] of value.entries()) {
      const below = tree.get(String(index));
      if (below !== "all") kept.push(below === undefined ? item : without(item, below));
    }
    return kept;
  }
  if (isSet(value)) {
    const kept = new ValueSet();
    for (const member of value.members()) {
      const below = tree.get(keyOf(member));
      if (below !== "all") kept.add(below === undefined ? member : without(member, below));
    }
    return kept;
  }
  if (!isObject(value)) return value;
  const kept = new ObjectBuilder();
  for (const [key, member] of sortedEntries(value)) {
    const below = tree.get(keyOf(key));
    if (below !== "all") kept.set(key, below === undefined ? member : without(member, below));
  }
  return kept.finish();
}

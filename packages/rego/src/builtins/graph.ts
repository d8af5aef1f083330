/** Built-ins on graphs, given as objects of nodes with their neighbours; and `walk`, through all parts of a value. */
import { ANY, arrayOf, dictionaryOf, setOf, tupleOf, unionOf } from "../types.ts";
import {
  isArray,
  isObject,
  isSet,
  memberOf,
  type PlainObject,
  sortedEntries,
  type Value,
  type ValueObject,
  ValueSet,
} from "../value.ts";
import { type Builtin, type BuiltinEnvironment, builtin, collectionOperand, objectOperand } from "./builtin.ts";

const NODES = unionOf(setOf(ANY), arrayOf(ANY));
const GRAPH = dictionaryOf(ANY, NODES);

export const GRAPHS: readonly Builtin[] = [
  builtin("graph.reachable", [GRAPH, NODES], setOf(ANY), (environment, graph, initial) => {
    const edges = objectOperand(graph, 1);
    const queue = [...collectionOperand(initial, 2)];
    const reached = new ValueSet();
    for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
      const neighbours = memberOf(edges, node);
      if (neighbours === undefined || !reached.add(node)) continue;
      const next = membersOf(neighbours);
      environment.spend(1 + next.length);
      for (const neighbour of next) if (!reached.has(neighbour)) queue.push(neighbour);
    }
    return reached;
  }),
  builtin("graph.reachable_paths", [GRAPH, NODES], setOf(arrayOf(ANY)), (environment, graph, initial) => {
    const edges = objectOperand(graph, 1);
    const paths = new ValueSet();
    for (const root of collectionOperand(initial, 2)) {
      const neighbours = memberOf(edges, root);
      if (neighbours === undefined) continue;
      const next = membersOf(neighbours);
      if (next.length === 0) paths.add([root]);
      for (const neighbour of next) {
        const followed = new ValueSet([root]);
        if (followed.has(neighbour)) paths.add([root]);
        else addPaths(environment, edges, neighbour, [root], paths, followed);
      }
    }
    return paths;
  }),
  builtin(
    "walk",
    [ANY],
    tupleOf([arrayOf(ANY), ANY]),
    (environment, value) => {
      const found: Value[] = [];
      walk(environment, value, [], found);
      return found;
    },
    { relation: true },
  ),
];

/** Neighbours that are neither an array nor a set are none. */
function membersOf(value: Value): readonly Value[] {
  if (isArray(value)) return value;
  return isSet(value) ? value.sorted() : [];
}

/**
 * Adds the paths from a node to where they end: at a node without neighbours, before one that is no node of the graph,
 * or before one from which paths have been followed already, beginning with the same first two nodes.
 */
function addPaths(
  environment: BuiltinEnvironment,
  edges: PlainObject | ValueObject,
  node: Value,
  before: readonly Value[],
  paths: ValueSet,
  followed: ValueSet,
): void {
  environment.spend(1 + before.length);
  const neighbours = memberOf(edges, node);
  if (neighbours === undefined) {
    paths.add(before);
    return;
  }
  const path = [...before, node];
  const next = membersOf(neighbours);
  if (next.length === 0) paths.add(path);
  for (const neighbour of next) {
    if (followed.has(neighbour)) {
      environment.spend(path.length);
      paths.add(path);
    } else {
      followed.add(node);
      addPaths(environment, edges, neighbour, path, paths, followed);
    }
  }
}

function walk(environment: BuiltinEnvironment, value: Value, path: readonly Value[], found: Value[]): void {
  environment.spend(1 + path.length);
  found.push([path, value]);
  if (isArray(value)) {
    for (const [index, item] of value.entries()) walk(environment, item, [...path, index], found);
  } else if (isSet(value)) {
    for (const member of value.sorted()) walk(environment, member, [...path, member], found);
  } else if (isObject(value)) {
    for (const [key, member] of sortedEntries(value)) walk(environment, member, [...path, key], found);
  }
}

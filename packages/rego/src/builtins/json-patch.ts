/**
 * `json.patch`: RFC 6902, with paths into sets too, where a step is the member itself. All operations take effect or the
 * answer is undefined.
 */
import { ANY, arrayOf, recordOf, STRING } from "../types.ts";
import {
  equalValues,
  isArray,
  isObject,
  isSet,
  memberOf,
  ObjectBuilder,
  objectSize,
  setMember,
  sortedEntries,
  type Value,
  ValueObject,
  ValueSet,
} from "../value.ts";
import { arrayOperand, type Builtin, type BuiltinEnvironment, builtin } from "./builtin.ts";
import { stepsOf } from "./json-paths.ts";

const OPERATION = recordOf({ op: STRING, path: ANY }, { key: ANY, value: ANY });

export const JSON_PATCH: readonly Builtin[] = [
  builtin("json.patch", [ANY, arrayOf(OPERATION)], ANY, (environment, document, patches) => {
    const work: PatchWork = { environment, own: new Set() };
    let patched: Value | undefined = document;
    for (const patch of arrayOperand(patches, 2)) {
      if (patched === undefined) return undefined;
      patched = applyOperation(work, patched, patch);
    }
    return patched;
  }),
];

interface PatchWork {
  readonly environment: BuiltinEnvironment;
  /** Objects made by this patch that stand at one place only, and so may be changed instead of copied. */
  readonly own: Set<object>;
}

/** The document after one operation; undefined where it cannot be applied. */
function applyOperation(work: PatchWork, document: Value, patch: Value): Value | undefined {
  if (!isObject(patch)) return undefined;
  const path = pathOf(memberOf(patch, "path"));
  if (path === undefined) return undefined;
  const value = memberOf(patch, "value");
  const from = pathOf(memberOf(patch, "from"));
  switch (memberOf(patch, "op")) {
    case "add":
      return value === undefined ? undefined : put(work, document, path, 0, value);
    case "remove":
      return take(work, document, path, 0);
    case "replace": {
      if (value === undefined) return undefined;
      if (path.length === 0) return value;
      const rest = take(work, document, path, 0);
      return rest === undefined ? undefined : put(work, rest, path, 0, value);
    }
    case "test": {
      const found = find(document, path);
      return found !== undefined && value !== undefined && equalValues(found, value) ? document : undefined;
    }
    case "copy": {
      const found = from === undefined ? undefined : find(document, from);
      work.own.clear(); // what is copied stands at two places
      return found === undefined ? undefined : put(work, document, path, 0, found);
    }
    case "move": {
      if (from === undefined) return undefined;
      const found = find(document, from);
      if (found === undefined) return undefined;
      if (from.length === 0) return path.length === 0 ? document : undefined;
      const rest = take(work, document, from, 0);
      return rest === undefined ? undefined : put(work, rest, path, 0, found);
    }
    default:
      return undefined;
  }
}

function pathOf(value: Value | undefined): readonly Value[] | undefined {
  return value === undefined ? undefined : stepsOf(value);
}

/** The place that a step names in an array; with `end`, also the place after the last item. */
function indexOf(array: readonly Value[], step: Value, end: boolean): number | undefined {
  let index: number;
  if (step === "-" && end) return array.length;
  if (typeof step === "string") {
    if (!/^(?:0|[1-9]\d{0,9})$/.test(step)) return undefined;
    index = Number(step);
  } else if (typeof step === "number" && Number.isInteger(step) && step >= 0) index = step;
  else return undefined;
  return index < array.length + (end ? 1 : 0) ? index : undefined;
}

function child(value: Value, step: Value): Value | undefined {
  if (isArray(value)) {
    const index = indexOf(value, step, false);
    return index === undefined ? undefined : value[index];
  }
  if (isSet(value)) return value.has(step) ? step : undefined;
  return isObject(value) ? memberOf(value, step) : undefined;
}

function find(document: Value, path: readonly Value[]): Value | undefined {
  let value: Value | undefined = document;
  for (const step of path) {
    if (value === undefined) return undefined;
    value = child(value, step);
  }
  return value;
}

/** A copy of a collection with another child in the place of one, or without it. */
function withChild(
  { environment, own }: PatchWork,
  collection: Value,
  step: Value,
  replacement: Value | undefined,
): Value | undefined {
  if (isArray(collection)) {
    const index = indexOf(collection, step, false);
    if (index === undefined) return undefined;
    environment.spend(1 + (collection.length >> 3));
    return replacement === undefined ? collection.toSpliced(index, 1) : collection.with(index, replacement);
  }
  if (isSet(collection)) {
    const copy = new ValueSet();
    environment.spend(1 + collection.size);
    for (const member of collection.members()) if (!equalValues(member, step)) copy.add(member);
    if (replacement !== undefined) copy.add(replacement);
    return copy;
  }
  if (!isObject(collection)) return undefined;
  if (typeof step === "string" && !(collection instanceof ValueObject)) {
    let copy = collection as Record<string, Value>; // changed only if it is our own
    if (own.has(collection)) environment.spend(1);
    else {
      environment.spend(1 + objectSize(collection));
      copy = { ...collection };
      own.add(copy);
    }
    if (replacement === undefined) delete copy[step];
    else setMember(copy, step, replacement);
    return copy;
  }
  environment.spend(1 + objectSize(collection));
  const copy = new ObjectBuilder();
  for (const [key, member] of sortedEntries(collection)) if (!equalValues(key, step)) copy.set(key, member);
  if (replacement !== undefined) copy.set(step, replacement);
  return copy.finish();
}

function put(work: PatchWork, document: Value, path: readonly Value[], at: number, value: Value): Value | undefined {
  const step = path[at];
  if (step === undefined) return value;
  if (at < path.length - 1) {
    const inner = child(document, step);
    const changed = inner === undefined ? undefined : put(work, inner, path, at + 1, value);
    return changed === undefined ? undefined : withChild(work, document, step, changed);
  }
  if (isArray(document)) {
    const index = indexOf(document, step, true);
    if (index === undefined) return undefined;
    work.environment.spend(1 + (document.length >> 3));
    return document.toSpliced(index, 0, value);
  }
  if (isSet(document) && !equalValues(step, value)) return undefined; // a member is its own name
  return withChild(work, document, step, value);
}

function take(work: PatchWork, document: Value, path: readonly Value[], at: number): Value | undefined {
  const step = path[at];
  if (step === undefined) return undefined;
  const inner = child(document, step);
  if (inner === undefined) return undefined;
  if (at === path.length - 1) return withChild(work, document, step, undefined);
  const rest = take(work, inner, path, at + 1);
  return rest === undefined ? undefined : withChild(work, document, step, rest);
}

/**
 * The documents under `data` that rules and base data make together: stepping down into them, going through them, and
 * making the whole of one. Rules hide the base data at their place; what `with` has replaced hides both.
 */
import { burn } from "../fuel.ts";
import { eachMember, lookUpStored } from "../run/collections.ts";
import { type Evaluation, type Frame, lookUpPath } from "../run/evaluation.ts";
import { keyOf, lookUp, ObjectBuilder, type Value, ValueSet } from "../value.ts";
import type { RuleGroup, TreeNode } from "./rule-tree.ts";

/** Compiled rules of one document or function. */
export interface GroupCode {
  readonly group: RuleGroup;
  /** Places that a caller's frame for a function needs. */
  frameSize: number;
  /** Of a function: the frame begins with the arguments. */
  call: (evaluation: Evaluation, frame: Frame) => Value | undefined;
  /** Of a document: its value, kept during the scope. */
  value: (evaluation: Evaluation) => Value | undefined;
  /** Of a document: what is under a key in it, without making all of it for a few keys. */
  valueAt: (evaluation: Evaluation, key: Value) => Value | undefined;
}

export interface CodeOfGroups {
  code(group: RuleGroup): GroupCode;
}

/** A place in the documents under `data`: at a node, where rules and base data meet, or below, at a value. */
export type Place =
  | { readonly node: TreeNode; readonly base: Value | undefined }
  | { readonly node: undefined; readonly value: Value; readonly isStored: boolean };

/** Documents that rules and base data make together. */
export class Documents {
  readonly #groups: CodeOfGroups;

  constructor(groups: CodeOfGroups) {
    this.#groups = groups;
  }

  start(evaluation: Evaluation, node: TreeNode): Place | undefined {
    const base = lookUpPath(evaluation.data, node.path);
    return evaluation.shadows !== undefined && evaluation.isShadowed(node.path) ? stored(base) : { node, base };
  }

  below(evaluation: Evaluation, place: Place, key: Value): Place | undefined {
    if (place.node === undefined) {
      const value = place.isStored ? lookUpStored(place.value, key) : lookUp(place.value, key);
      return value === undefined ? undefined : { ...place, value };
    }
    const base = place.base === undefined ? undefined : lookUpStored(place.base, key);
    const child = place.node.children.get(keyOf(key));
    if (child === undefined || (evaluation.shadows !== undefined && evaluation.isShadowed(child.path))) {
      return stored(base);
    }
    if (child.group === undefined) return { node: child, base };
    if (child.group.kind === "function") return undefined;
    const value = this.#groups.code(child.group).value(evaluation);
    return value === undefined ? undefined : { node: undefined, value, isStored: false };
  }

  /** Every place right below, by key, in the order of keys. */
  all(evaluation: Evaluation, place: Place): [Value, Place][] {
    const places: [Value, Place][] = [];
    if (place.node === undefined) {
      eachMember(place.value, true, (key, value) => {
        places.push([key, { ...place, value }]);
        return false;
      });
      return places;
    }
    const keys = new ValueSet();
    for (const { path } of place.node.children.values()) keys.add(path.at(-1) as Value); // a child has a path
    if (place.base !== undefined) {
      eachMember(place.base, false, (key) => {
        keys.add(key);
        return false;
      });
    }
    for (const key of keys.sorted()) {
      const below = this.below(evaluation, place, key);
      if (below !== undefined) places.push([key, below]);
    }
    return places;
  }

  valueAt(evaluation: Evaluation, place: Place | undefined): Value | undefined {
    if (place === undefined) return undefined;
    if (place.node === undefined) return place.value;
    const known = evaluation.extents.get(place.node);
    if (known !== undefined && known.stamp === evaluation.stamp) return known.value;
    const builder = new ObjectBuilder();
    for (const [key, below] of this.all(evaluation, place)) {
      burn(1);
      const value = this.valueAt(evaluation, below);
      if (value !== undefined) builder.set(key, value);
    }
    const value = builder.finish();
    evaluation.extents.set(place.node, { stamp: evaluation.stamp, value });
    return value;
  }
}

function stored(base: Value | undefined): Place | undefined {
  return base === undefined ? undefined : { node: undefined, value: base, isStored: true };
}

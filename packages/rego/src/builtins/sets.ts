/** Built-ins on sets, with their operators. The difference is with `minus` in arithmetic.ts. */
import { ANY, setOf } from "../types.ts";
import { isSet, type Value, ValueSet } from "../value.ts";
import { type Builtin, builtin, elementError, setOperand } from "./builtin.ts";

const SET = setOf(ANY);

export const SETS: readonly Builtin[] = [
  builtin("and", [SET, SET], SET, (_, a, b) => intersect(setOperand(a, 1), setOperand(b, 2)), { infix: "&" }),
  builtin("or", [SET, SET], SET, (_, a, b) => unite([setOperand(a, 1), setOperand(b, 2)]), { infix: "|" }),
  builtin(
    "set_diff",
    [SET, SET],
    SET,
    (_, a, b) => {
      const other = setOperand(b, 2);
      return new ValueSet([...setOperand(a, 1).members()].filter((member) => !other.has(member)));
    },
    { deprecated: "use a - b" },
  ),
  builtin("union", [setOf(SET)], SET, (_, sets) => unite(setsOperand(sets))),
  builtin("intersection", [setOf(SET)], SET, (_, sets) => {
    const [first, ...others] = setsOperand(sets);
    return first === undefined ? new ValueSet() : others.reduce(intersect, first);
  }),
];

function setsOperand(value: Value): readonly ValueSet[] {
  const sets: ValueSet[] = [];
  for (const member of setOperand(value, 1).sorted()) {
    if (!isSet(member)) throw elementError(1, "set", "set", member);
    sets.push(member);
  }
  return sets;
}

function unite(sets: readonly ValueSet[]): ValueSet {
  const union = new ValueSet();
  for (const set of sets) for (const member of set.members()) union.add(member);
  return union;
}

function intersect(a: ValueSet, b: ValueSet): ValueSet {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  const both = new ValueSet();
  for (const member of small.members()) if (large.has(member)) both.add(member);
  return both;
}

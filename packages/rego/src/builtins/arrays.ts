/** Built-ins on arrays. */
import { ANY, arrayOf, NUMBER } from "../types.ts";
import { isArray, type Value } from "../value.ts";
import { arrayOperand, type Builtin, bigintOperand, builtin } from "./builtin.ts";

const ARRAY = arrayOf(ANY);

export const ARRAYS: readonly Builtin[] = [
  builtin("array.concat", [ARRAY, ARRAY], ARRAY, (environment, a, b) => {
    const first = arrayOperand(a, 1);
    const second = arrayOperand(b, 2);
    environment.spend((first.length + second.length) >> 3);
    return [...first, ...second];
  }),
  builtin("array.flatten", [ARRAY], ARRAY, (environment, array) => {
    const flat: Value[] = [];
    for (const item of arrayOperand(array, 1)) {
      if (!isArray(item)) flat.push(item);
      else {
        environment.spend(item.length >> 3);
        for (const inner of item) flat.push(inner);
      }
    }
    return flat;
  }),
  builtin("array.reverse", [ARRAY], ARRAY, (_, array) => [...arrayOperand(array, 1)].reverse()),
  builtin("array.slice", [ARRAY, NUMBER, NUMBER], ARRAY, (_, array, start, stop) => {
    const items = arrayOperand(array, 1);
    return items.slice(clampOperand(start, 2, items.length), clampOperand(stop, 3, items.length));
  }),
];

/** An integer operand, brought to where an array of this length has an end. */
function clampOperand(value: Value, position: number, length: number): number {
  const index = bigintOperand(value, position);
  if (index < 0n) return 0;
  return index > length ? length : Number(index);
}

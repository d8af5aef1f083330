/**
 * The base of the values that plain JSON has no shape for: numbers that no double stands for, sets, and objects with
 * keys other than strings. One `instanceof` thus tells them from plain objects. `kind` says which of Rego's types.
 */
export abstract class Boxed {
  abstract readonly kind: "number" | "set" | "object";
}

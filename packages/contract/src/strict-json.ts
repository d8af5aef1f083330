/**
 * JSON as Writ reads it: every document has one reading or none. Duplicate member names (also under case
 * folding), lone surrogates, trailing bytes, a byte order mark, invalid UTF-8 and excessive depth are faults.
 * Numbers are never rounded: one that JavaScript cannot hold exactly stays an `ExactNumber`.
 */
export type JsonValue = null | boolean | string | number | ExactNumber | readonly JsonValue[] | JsonObject;

/** Always a null-prototype object, so that no member name has a meaning of its own. */
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

/** A number whose lexeme JavaScript would not print back (`9007199254740993`, `1.10`, `1e400`). */
export class ExactNumber {
  readonly lexeme: string;
  constructor(lexeme: string) {
    this.lexeme = lexeme;
  }
}

/** A Rego v1 engine that stands alone: everything that the world outside this package may use. */
export {
  arrayOperand,
  type Builtin,
  type BuiltinEnvironment,
  BuiltinError,
  type BuiltinFunction,
  bigintOperand,
  booleanOperand,
  builtin,
  builtinError,
  type Cryptography,
  type HashAlgorithm,
  integerOperand,
  makePreparedCache,
  objectOperand,
  type PreparedCache,
  refusedBuiltin,
  type SignatureScheme,
  stringOperand,
  stringsOperand,
} from "./builtins/builtin.ts";
export { BUILTINS } from "./builtins/registry.ts";
export { type Formatted, format } from "./format/format.ts";
export { type JsonRead, parseJson, plainJsonOf, writeJson } from "./json.ts";
export {
  compareNumbers,
  Decimal,
  doubleOfNumber,
  NumberTooLarge,
  parseNumber,
  type RegoNumber,
  writeNumber,
} from "./number.ts";
export { type Problem, type ProblemCode, type Source, type Span, writeProblem } from "./problem.ts";
export {
  type Answer,
  type CompileOptions,
  compile,
  type EvaluateOptions,
  type Evaluator,
  type Explanation,
  type ModuleText,
  Program,
  type ProgramCompiled,
  Query,
  type QueryPrepared,
  type Results,
} from "./program.ts";
export type { EvaluationError, EvaluationErrorCode, Limits } from "./run/evaluation.ts";
export { runTests, type TestOutcome, type TestRun } from "./run/run-tests.ts";
export { Coverage, type ExpressionRun, type FileCoverage, type RuleRun } from "./run/trace.ts";
export type * from "./syntax/ast.ts";
export { type ModuleRead, parseModule, parseQuery, type QueryRead } from "./syntax/parser.ts";
export {
  ANY,
  arrayOf,
  BOOLEAN,
  dictionaryOf,
  type FunctionType,
  NULL,
  NUMBER,
  recordOf,
  STRING,
  setOf,
  type Type,
  tupleOf,
  unionOf,
} from "./types.ts";
export {
  compareStrings,
  compareValues,
  equalValues,
  type Kind,
  keyOf,
  kindOf,
  memberOf,
  ObjectBuilder,
  objectOf,
  type PlainObject,
  sortedEntries,
  sortedKeys,
  type Value,
  ValueObject,
  ValueSet,
  writeValue,
} from "./value.ts";

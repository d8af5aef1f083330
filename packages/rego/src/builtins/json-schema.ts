/** Built-ins on JSON Schema: `json.match_schema` and `json.verify_schema`. Schemas are read and followed in ../json-schema. */
import { parseJson, writeJson } from "../json.ts";
import { readSchema, type Schema, SchemaFault } from "../json-schema/schema.ts";
import { EndlessSchema, validateJson } from "../json-schema/validate.ts";
import { ANY_OBJECT, arrayOf, BOOLEAN, NULL, recordOf, STRING, tupleOf, unionOf } from "../types.ts";
import { isObject, type Value } from "../value.ts";
import { type Builtin, type BuiltinEnvironment, builtin, builtinError } from "./builtin.ts";

const DOCUMENT = unionOf(STRING, ANY_OBJECT);
const VIOLATION = recordOf({ desc: STRING, error: STRING, field: STRING, type: STRING });

export const JSON_SCHEMA: readonly Builtin[] = [
  builtin("json.verify_schema", [DOCUMENT], tupleOf([BOOLEAN, unionOf(STRING, NULL)]), (environment, schema) => {
    const read = schemaOperand(environment, schema);
    return read.kind === "schema" ? [true, null] : [false, `jsonschema: ${read.message}`];
  }),
  builtin(
    "json.match_schema",
    [DOCUMENT, DOCUMENT],
    tupleOf([BOOLEAN, arrayOf(VIOLATION)]),
    (environment, document, schema) => {
      const json = jsonTextOf(document);
      const read = schemaOperand(environment, schema);
      if (read.kind === "fault") throw builtinError(read.message);
      environment.spend(json.length >> 3);
      const violations = match(environment, read.schema, json);
      return [violations.length === 0, violations];
    },
  ),
];

function match(environment: BuiltinEnvironment, schema: Schema, json: string): readonly Value[] {
  try {
    return validateJson(schema, valueOfJson(json), (steps) => environment.spend(steps)).map(
      ({ type, field, description }) => ({ type, field, desc: description, error: `${field}: ${description}` }),
    );
  } catch (cause) {
    if (cause instanceof EndlessSchema) throw builtinError(cause.message); // the schema's fault
    throw cause;
  }
}

/** A text holds JSON; an object is a document itself, and becomes plain JSON, sets as arrays. */
function jsonTextOf(value: Value): string {
  if (typeof value === "string") return value;
  if (isObject(value)) return writeJson(value);
  throw builtinError("wrong type, expected string or object");
}

function valueOfJson(json: string): Value {
  const read = parseJson(json);
  if (read.kind === "fault") throw builtinError("invalid JSON string");
  return read.value;
}

type SchemaRead =
  | { readonly kind: "schema"; readonly schema: Schema }
  | { readonly kind: "fault"; readonly message: string };

function schemaOperand(environment: BuiltinEnvironment, value: Value): SchemaRead {
  if (typeof value !== "string" && !isObject(value)) {
    return { kind: "fault", message: "wrong type, expected string or object" };
  }
  const text = jsonTextOf(value);
  environment.spend(text.length >> 6);
  return environment.prepared.get("json-schema", text, (json): SchemaRead => {
    const read = parseJson(json);
    if (read.kind === "fault") return { kind: "fault", message: "invalid JSON string" };
    try {
      return { kind: "schema", schema: readSchema(read.value, () => environment.spend(5)) };
    } catch (cause) {
      if (cause instanceof SchemaFault) return { kind: "fault", message: cause.message }; // of whoever wrote it
      throw cause;
    }
  });
}

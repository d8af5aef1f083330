/**
 * Built-ins that OPA has and this engine does not offer, with the reason that whoever calls one is told. Tests may put a
 * function in the place of one with `with`, which is why their types are known.
 */
import { ANY, ANY_OBJECT, BOOLEAN, NUMBER, STRING, setOf, tupleOf, unionOf } from "../types.ts";
import { type Builtin, refusedBuiltin } from "./builtin.ts";

const NETWORK = "a policy decides from its input and data, and reaches no network";
const GRAPHQL = "there is no GraphQL parser in this engine";
const DOCUMENT = unionOf(STRING, ANY_OBJECT);

export const REFUSED: readonly Builtin[] = [
  refusedBuiltin("opa.runtime", [], ANY_OBJECT, "a policy must not depend on where it runs", () => ({})),
  refusedBuiltin("http.send", [ANY_OBJECT], ANY, NETWORK),
  refusedBuiltin("net.lookup_ip_addr", [STRING], setOf(STRING), NETWORK),
  refusedBuiltin(
    "providers.aws.sign_req",
    [ANY_OBJECT, ANY_OBJECT, NUMBER],
    ANY_OBJECT,
    "it signs requests to a network, which a policy does not send",
  ),
  refusedBuiltin("graphql.is_valid", [DOCUMENT, DOCUMENT], BOOLEAN, GRAPHQL),
  refusedBuiltin("graphql.parse", [DOCUMENT, DOCUMENT], tupleOf([ANY_OBJECT, ANY_OBJECT]), GRAPHQL),
  refusedBuiltin("graphql.parse_and_verify", [DOCUMENT, DOCUMENT], tupleOf([BOOLEAN, ANY_OBJECT, ANY_OBJECT]), GRAPHQL),
  refusedBuiltin("graphql.parse_query", [STRING], ANY_OBJECT, GRAPHQL),
  refusedBuiltin("graphql.parse_schema", [STRING], ANY_OBJECT, GRAPHQL),
  refusedBuiltin("graphql.schema_is_valid", [DOCUMENT], BOOLEAN, GRAPHQL),
];

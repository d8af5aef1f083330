/** All built-ins, by area. A new area is a file beside this one and a line here. */
import { AGGREGATES } from "./aggregates.ts";
import { ARITHMETIC } from "./arithmetic.ts";
import { ARRAYS } from "./arrays.ts";
import { BITS } from "./bits.ts";
import type { Builtin } from "./builtin.ts";
import { COMPARISON } from "./comparison.ts";
import { CONVERSIONS } from "./conversions.ts";
import { CRYPTO } from "./crypto.ts";
import { ENCODING } from "./encoding.ts";
import { GLOB } from "./glob.ts";
import { GRAPHS } from "./graph.ts";
import { INTERNAL } from "./internal.ts";
import { JSON_PATCH } from "./json-patch.ts";
import { JSON_PATHS } from "./json-paths.ts";
import { JSON_SCHEMA } from "./json-schema.ts";
import { NET } from "./net.ts";
import { OBJECTS } from "./objects.ts";
import { RANDOMNESS } from "./randomness.ts";
import { REFUSED } from "./refused.ts";
import { REGEX } from "./regex.ts";
import { REGO } from "./rego.ts";
import { SEMVER } from "./semver.ts";
import { SETS } from "./sets.ts";
import { STRINGS } from "./strings.ts";
import { TEMPLATE } from "./template.ts";
import { TIME_BUILTINS } from "./time.ts";
import { TOKENS } from "./tokens.ts";
import { TRACING } from "./tracing.ts";
import { TYPES } from "./types.ts";
import { UNITS } from "./units.ts";
import { URI } from "./uri.ts";
import { X509 } from "./x509.ts";
import { YAML } from "./yaml.ts";

export const BUILTINS: readonly Builtin[] = [
  ...AGGREGATES,
  ...ARITHMETIC,
  ...ARRAYS,
  ...BITS,
  ...COMPARISON,
  ...CONVERSIONS,
  ...ENCODING,
  ...GLOB,
  ...GRAPHS,
  ...JSON_PATCH,
  ...JSON_PATHS,
  ...NET,
  ...OBJECTS,
  ...CRYPTO,
  ...JSON_SCHEMA,
  ...INTERNAL,
  ...RANDOMNESS,
  ...REFUSED,
  ...REGEX,
  ...REGO,
  ...SEMVER,
  ...SETS,
  ...STRINGS,
  ...TEMPLATE,
  ...TIME_BUILTINS,
  ...TOKENS,
  ...TRACING,
  ...TYPES,
  ...UNITS,
  ...URI,
  ...YAML,
  ...X509,
];

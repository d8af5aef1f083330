/** Built-ins that take URIs apart; none of them reaches one. */
import { quoteText } from "../quote.ts";
import { BOOLEAN, dictionaryOf, STRING } from "../types.ts";
import { parseUri, splitHost } from "../uri.ts";
import { ObjectBuilder } from "../value.ts";
import { type Builtin, builtin, builtinError, stringOperand } from "./builtin.ts";
import { spendText } from "./text.ts";

export const URI: readonly Builtin[] = [
  builtin("uri.is_valid", [STRING], BOOLEAN, (environment, value) => {
    if (typeof value !== "string" || value === "") return false;
    spendText(environment, 4 * value.length);
    return parseUri(value).kind === "uri";
  }),
  builtin("uri.parse", [STRING], dictionaryOf(STRING, STRING), (environment, value) => {
    const text = stringOperand(value, 1);
    spendText(environment, 8 * text.length);
    const uri = parseUri(text);
    if (uri.kind === "fault") throw builtinError(`parse ${quoteText(text)}: ${uri.detail}`);
    const { scheme, path, rawPath, rawQuery, fragment } = uri;
    const parts = {
      scheme,
      ...splitHost(uri.host),
      path,
      // There whenever the path is, so that a policy can look at escapes without asking for it.
      raw_path: rawPath === "" ? path : rawPath,
      raw_query: rawQuery,
      fragment,
    };
    const object = new ObjectBuilder();
    for (const [name, part] of Object.entries(parts)) if (part !== "") object.set(name, part);
    return object.finish();
  }),
];

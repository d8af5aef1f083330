/** The options that become caveats: JSON where exact words matter, shorthands for what is wanted most. */
import { isLeftOut, parseCaveatText } from "@writ/token";
import type { Option } from "commander";
import { option } from "./define-command.ts";
import { readCount, readDuration, readMany } from "./read-values.ts";

export interface CaveatOptions {
  readonly caveat?: readonly string[];
  readonly tools?: string;
  readonly calls?: number;
}

export function caveatOptions(): readonly Option[] {
  return [
    option("--caveat <json>", `a caveat, such as '{"not_tools":["files/delete"]}'; may be repeated`).argParser(
      readMany,
    ),
    option("--tools <patterns>", `only these tools, such as "files/read*,everything/echo"`),
    option("--calls <count>", "at most so many calls in all").argParser(readCount(0)),
  ];
}

/** What whoever made a token with these caveats may not expect of it; "" when there is nothing. */
export function noteOn(caveats: readonly string[]): string {
  const read = caveats.map((text) => parseCaveatText(text).meaning);
  if (!isLeftOut(read, "http.request")) return "";
  const isLate = read.some(({ kind }) => kind === "http");
  return `It names tools, so it makes no requests of HTTP APIs${isLate ? ": an http caveat has to come before the tools" : ""}.\n`;
}

export function expiryOption(): Option {
  return option("--expires-in <duration>", "life, such as 15m, 24h or 90d").argParser(readDuration);
}

/** JSON texts, in the order: those written out, tools, calls. */
export function caveatsOf(options: CaveatOptions): readonly string[] {
  const { caveat = [], tools, calls } = options;
  return [
    ...caveat,
    ...(tools === undefined ? [] : [JSON.stringify({ tools: tools.split(",").map((pattern) => pattern.trim()) })]),
    ...(calls === undefined ? [] : [JSON.stringify({ calls })]),
  ];
}

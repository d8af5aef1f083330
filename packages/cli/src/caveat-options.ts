/** The options that become caveats: JSON where exact words matter, shorthands for what is wanted most. */
import { RATE_LIMIT_MAX, RATE_PERIODS } from "@writ/contract";
import { isLeftOut, parseCaveatText } from "@writ/token";
import { InvalidArgumentError, type Option } from "commander";
import { option } from "./define-command.ts";
import { readChoice, readCount, readDuration, readMany } from "./read-values.ts";

export interface CaveatOptions {
  readonly caveat?: readonly string[];
  readonly tools?: string;
  readonly calls?: number;
  readonly net?: string;
  readonly rate?: Rate;
}

interface Rate {
  readonly limit: number;
  readonly per: string;
}

export function caveatOptions(): readonly Option[] {
  return [
    option("--caveat <json>", `a caveat, such as '{"not_tools":["files/delete"]}'; may be repeated`).argParser(
      readMany,
    ),
    option("--tools <patterns>", `only these tools, such as "files/read*,everything/echo"`),
    option("--calls <count>", "at most so many calls in all").argParser(readCount(0)),
    option("--net <networks>", `only from these addresses, such as "10.1.0.0/16,2001:db8::/32"`),
    option(
      "--rate <limit/period>",
      "at most so many attempts in any second, minute or hour, such as 60/minute",
    ).argParser(readRate),
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

function readRate(text: string): Rate {
  const [limit = "", period = "", ...rest] = text.split("/");
  if (rest.length > 0) throw new InvalidArgumentError("limit/period is expected, such as 60/minute.");
  return { limit: readCount(1, RATE_LIMIT_MAX)(limit), per: readChoice(RATE_PERIODS)(period) };
}

function readList(text: string): readonly string[] {
  return text.split(",").map((part) => part.trim());
}

/** JSON texts, in the order: those written out, then those of the shorthands. */
export function caveatsOf(options: CaveatOptions): readonly string[] {
  const { caveat = [], tools, calls, net, rate } = options;
  return [
    ...caveat,
    ...(tools === undefined ? [] : [JSON.stringify({ tools: readList(tools) })]),
    ...(calls === undefined ? [] : [JSON.stringify({ calls })]),
    ...(net === undefined ? [] : [JSON.stringify({ net: readList(net) })]),
    ...(rate === undefined ? [] : [JSON.stringify({ rate })]),
  ];
}

/**
 * `sprintf`, with the verbs, flags and complaints of Go's `fmt.Sprintf`. An operand is one of four things there: an
 * integer within 64 bits (`int64`), a larger one (`*big.Int`), another number (`float64`) or a text (`string`); values that
 * are neither numbers nor strings are texts, written as Rego writes them.
 */
import { bigintOfNumber, Decimal, doubleOfNumber, type RegoNumber, writeNumber } from "../number.ts";
import { quoteText } from "../quote.ts";
import { isNumber, type Value, writeValue } from "../value.ts";
import type { BuiltinEnvironment } from "./builtin.ts";
import { formatDouble } from "./go-float.ts";
import { padText, spendText } from "./text.ts";

type Operand =
  | { readonly type: "int64" | "*big.Int"; readonly value: bigint }
  | { readonly type: "float64"; readonly value: number }
  | { readonly type: "string"; readonly value: string };

/** Wider fields and finer precisions are complained about. */
const WIDTH_MAX = 1_000_000;

interface Directive {
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  /** `#` or `+` before `v`, where they mean something else. */
  sharpV: boolean;
  plusV: boolean;
  width: number | undefined;
  precision: number | undefined;
}

export function sprintf(environment: BuiltinEnvironment, format: string, values: readonly Value[]): string {
  const operands = values.map(operandOf);
  let text = "";
  let next = 0;
  let reordered = false;
  let at = 0;

  /** Reads `[n]`; answers whether what stands here is well formed. */
  const readIndex = (): boolean => {
    if (format[at] !== "[") return true;
    reordered = true;
    const end = format.indexOf("]", at);
    if (end < 0) {
      at += 1;
      return false;
    }
    const digits = format.slice(at + 1, end);
    at = end + 1;
    if (!/^\d{1,7}$/.test(digits)) return false;
    const index = Number(digits) - 1;
    if (index < 0 || index >= operands.length) return false;
    next = index;
    return true;
  };
  const readDigits = (): number | undefined => {
    const start = at;
    while (isDigit(format[at])) at += 1;
    return start === at ? undefined : Number(format.slice(start, at));
  };
  const takeStar = (): number | undefined => {
    const operand = operands[next];
    if (operand === undefined) return undefined;
    next += 1;
    if (operand.type !== "int64") return undefined;
    const value = Number(operand.value);
    return Math.abs(value) > WIDTH_MAX ? undefined : value;
  };

  while (at < format.length) {
    const percent = format.indexOf("%", at);
    if (percent < 0) {
      text += format.slice(at);
      break;
    }
    text += format.slice(at, percent);
    at = percent + 1;
    environment.spend(1);
    const directive: Directive = {
      minus: false,
      plus: false,
      sharp: false,
      space: false,
      zero: false,
      sharpV: false,
      plusV: false,
      width: undefined,
      precision: undefined,
    };
    readFlags: for (; ; at += 1) {
      switch (format[at]) {
        case "#":
          directive.sharp = true;
          break;
        case "0":
          directive.zero = true;
          break;
        case "+":
          directive.plus = true;
          break;
        case "-":
          directive.minus = true;
          break;
        case " ":
          directive.space = true;
          break;
        default:
          break readFlags;
      }
    }
    let isIndexed = true;
    let afterIndex = format[at] === "[";
    isIndexed = readIndex();
    if (format[at] === "*") {
      at += 1;
      directive.width = takeStar();
      if (directive.width === undefined) text += "%!(BADWIDTH)";
      else if (directive.width < 0) {
        directive.width = -directive.width;
        directive.minus = true;
        directive.zero = false;
      }
      afterIndex = false;
    } else {
      directive.width = readDigits();
      if (directive.width !== undefined && afterIndex) isIndexed = false;
      if (directive.width !== undefined && directive.width > WIDTH_MAX) {
        directive.width = undefined;
        text += "%!(BADWIDTH)";
      }
    }
    if (format[at] === ".") {
      at += 1;
      if (afterIndex) isIndexed = false;
      afterIndex = format[at] === "[";
      isIndexed = readIndex() && isIndexed;
      if (format[at] === "*") {
        at += 1;
        const precision = takeStar();
        if (precision === undefined || precision < 0) text += "%!(BADPREC)";
        else directive.precision = precision;
        afterIndex = false;
      } else {
        const precision = readDigits() ?? 0;
        if (precision > WIDTH_MAX) text += "%!(BADPREC)";
        else directive.precision = precision;
      }
    }
    if (!afterIndex) isIndexed = readIndex() && isIndexed;
    const point = format.codePointAt(at);
    if (point === undefined) {
      text += "%!(NOVERB)";
      break;
    }
    const verb = String.fromCodePoint(point);
    at += verb.length;
    if (verb === "%") {
      text += "%";
      continue;
    }
    if (!isIndexed) {
      text += `%!${verb}(BADINDEX)`;
      continue;
    }
    const operand = operands[next];
    if (operand === undefined) {
      text += `%!${verb}(MISSING)`;
      continue;
    }
    next += 1;
    spendText(environment, (directive.width ?? 0) + (directive.precision ?? 0));
    if (directive.minus) directive.zero = false;
    if (verb === "v") {
      directive.sharpV = directive.sharp;
      directive.plusV = directive.plus;
      directive.sharp = false;
      directive.plus = false;
    }
    const piece = formatOperand(operand, verb, directive);
    spendText(environment, piece.length);
    text += piece;
  }
  if (!reordered && next < operands.length) {
    const extra = operands.slice(next).map((operand) => `${operand.type}=${plainText(operand)}`);
    text += `%!(EXTRA ${extra.join(", ")})`;
  }
  return text;
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= "0" && character <= "9";
}

const INT_MAX = 9223372036854775807n;

function operandOf(value: Value): Operand {
  if (typeof value === "string") return { type: "string", value };
  if (!isNumber(value)) return { type: "string", value: writeValue(value) };
  if (isScientific(value)) return { type: "string", value: writeScientific(value) };
  const integer = bigintOfNumber(value);
  if (integer !== undefined) {
    return { type: integer <= INT_MAX && integer >= -INT_MAX - 1n ? "int64" : "*big.Int", value: integer };
  }
  const double = doubleOfNumber(value);
  return Number.isFinite(double) ? { type: "float64", value: double } : { type: "string", value: writeNumber(value) };
}

/** Whether a number is beyond doubles and was surely written with an exponent, as `2e308`: OPA keeps it as it stands. */
function isScientific(value: RegoNumber): value is Decimal {
  return value instanceof Decimal && value.exponent >= 100 && value.coefficient.toString().length < value.exponent / 2;
}

function writeScientific({ coefficient, exponent }: Decimal): string {
  return `${coefficient}e${exponent}`;
}

/** An operand as `%v` writes it. */
function plainText(operand: Operand): string {
  switch (operand.type) {
    case "float64":
      return formatDouble(operand.value, "g", undefined);
    case "string":
      return operand.value;
    case "int64":
    case "*big.Int":
      return operand.value.toString();
  }
}

function formatOperand(operand: Operand, verb: string, directive: Directive): string {
  if (verb === "T") return pad(operand.type, { ...directive, zero: false });
  if (verb === "p") return badVerb(operand, verb, directive);
  switch (operand.type) {
    case "int64":
      return formatInteger(operand, verb, directive);
    case "*big.Int":
      return formatBig(operand.value, verb, directive);
    case "float64":
      return formatFloat(operand.value, verb, directive) ?? badVerb(operand, verb, directive);
    case "string":
      return formatString(operand.value, verb, directive) ?? badVerb(operand, verb, directive);
  }
}

function badVerb(operand: Operand, verb: string, directive: Directive): string {
  return `%!${verb}(${operand.type}=${formatOperand(operand, "v", directive)})`;
}

function pad(text: string, directive: Directive): string {
  if (directive.width === undefined) return text;
  return padText(text, directive.width, directive.zero ? "0" : " ", directive.minus);
}

function formatInteger(operand: Operand & { value: bigint }, verb: string, directive: Directive): string {
  const { value } = operand;
  switch (verb) {
    case "c":
      return pad(characterOf(value), directive);
    case "q":
      return pad(quoteText(characterOf(value), "'", directive.plus), directive);
    case "U": {
      const digits = (value < 0n ? BigInt.asUintN(64, value) : value).toString(16).toUpperCase();
      const code = `U+${digits.padStart(Math.max(4, directive.precision ?? 0), "0")}`;
      return pad(directive.sharp ? `${code} '${characterOf(value)}'` : code, { ...directive, zero: false });
    }
    default:
      return integerText(value, verb, directive) ?? badVerb(operand, verb, directive);
  }
}

/** A large integer writes itself, with a name of its own for a verb that it does not know. */
function formatBig(value: bigint, verb: string, directive: Directive): string {
  const text = integerText(value, verb === "s" ? "d" : verb, directive);
  return text ?? `%!${verb}(big.Int=${value})`;
}

function characterOf(value: bigint): string {
  if (value < 0n || value > 0x10ffffn || (value >= 0xd800n && value <= 0xdfffn)) return "\ufffd";
  return String.fromCodePoint(Number(value));
}

const RADIX: ReadonlyMap<string, readonly [radix: number, prefix: string]> = new Map([
  ["d", [10, ""]],
  ["v", [10, ""]],
  ["b", [2, "0b"]],
  ["o", [8, "0"]],
  ["O", [8, "0o"]],
  ["x", [16, "0x"]],
  ["X", [16, "0X"]],
]);

function integerText(value: bigint, verb: string, directive: Directive): string | undefined {
  const known = RADIX.get(verb);
  if (known === undefined) return undefined;
  const [radix, prefix] = known;
  const isNegative = value < 0n;
  const sign = isNegative ? "-" : directive.plus ? "+" : directive.space ? " " : "";
  let digits = (isNegative ? -value : value).toString(radix);
  if (verb === "X") digits = digits.toUpperCase();
  const { precision } = directive;
  let { zero } = directive;
  if (precision !== undefined) {
    zero = false;
    if (precision === 0 && value === 0n) return pad("", { ...directive, zero });
    digits = digits.padStart(precision, "0");
  } else if (zero && directive.width !== undefined) digits = digits.padStart(directive.width - sign.length, "0");
  let lead = "";
  if (verb === "O" || (directive.sharp && !(verb === "o" && digits.startsWith("0")))) lead = prefix;
  return pad(sign + lead + digits, { ...directive, zero: false });
}

function formatFloat(value: number, verb: string, directive: Directive): string | undefined {
  let text: string;
  switch (verb) {
    case "v":
      text = formatDouble(value, "g", directive.precision);
      break;
    case "e":
    case "E":
    case "f":
    case "F":
      text = formatDouble(value, verb === "F" ? "f" : verb === "E" ? "e" : verb, directive.precision ?? 6);
      break;
    case "g":
    case "G":
      text = formatDouble(value, "g", directive.precision);
      break;
    default:
      return undefined;
  }
  if (verb === "E" || verb === "G") text = text.toUpperCase();
  const isNegative = text.startsWith("-");
  const digits = isNegative ? text.slice(1) : text;
  const sign = isNegative ? "-" : directive.plus ? "+" : directive.space ? " " : "";
  if (directive.zero && directive.width !== undefined) {
    return sign + digits.padStart(directive.width - sign.length, "0");
  }
  return pad(sign + digits, directive);
}

function formatString(value: string, verb: string, directive: Directive): string | undefined {
  switch (verb) {
    case "v":
      return pad(directive.sharpV ? quoteText(value) : truncate(value, directive), directive);
    case "s":
      return pad(truncate(value, directive), directive);
    case "q": {
      const text = truncate(value, directive);
      if (directive.sharp && canBackquote(text)) return pad(`\`${text}\``, directive);
      return pad(quoteText(text, '"', directive.plus), directive);
    }
    case "x":
    case "X":
      return pad(hexadecimal(value, verb, directive), directive);
    default:
      return undefined;
  }
}

function truncate(text: string, { precision }: Directive): string {
  if (precision === undefined || text.length <= precision) return text;
  let cut = "";
  let count = 0;
  for (const character of text) {
    if (count === precision) break;
    cut += character;
    count += 1;
  }
  return cut;
}

function hexadecimal(value: string, verb: "x" | "X", directive: Directive): string {
  let bytes = new TextEncoder().encode(value);
  if (directive.precision !== undefined) bytes = bytes.subarray(0, directive.precision);
  const pairs = [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
  const prefix = directive.sharp && pairs.length > 0 ? "0x" : "";
  const text = directive.space ? pairs.map((pair) => prefix + pair).join(" ") : prefix + pairs.join("");
  return verb === "X" ? text.toUpperCase() : text;
}

/** Whether a text can stand between backquotes: it has none, and no control characters but tabs. */
function canBackquote(text: string): boolean {
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (character === "`" || (point < 0x20 && point !== 9) || point === 0x7f || point === 0xfeff) return false;
  }
  return true;
}

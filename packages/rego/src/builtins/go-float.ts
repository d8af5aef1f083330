/** Doubles as text in the forms of Go's `strconv.FormatFloat`: `%e`, `%f` and `%g`, rounded exactly, halves to even. */

/** The digits of a positive double, exact, and how many of them stand before the decimal point. */
interface Digits {
  readonly digits: string;
  readonly point: number;
}

const BYTES = new DataView(new ArrayBuffer(8));

function exactDigits(value: number): Digits {
  BYTES.setFloat64(0, value);
  const bits = BYTES.getBigUint64(0);
  const raw = Number(bits >> 52n);
  const fraction = bits & 0xfffffffffffffn;
  const mantissa = raw === 0 ? fraction : fraction | 0x10000000000000n;
  const exponent = (raw === 0 ? 1 : raw) - 1075;
  if (exponent >= 0) {
    const digits = (mantissa << BigInt(exponent)).toString();
    return { digits, point: digits.length };
  }
  const digits = (mantissa * 5n ** BigInt(-exponent)).toString();
  return { digits, point: digits.length + exponent };
}

/** The fewest digits that read back to the same double. */
function shortestDigits(value: number): Digits {
  const [mantissa = "0", exponent = "0"] = value.toString().split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  const all = whole + fraction;
  const digits = all.replace(/^0+/, "");
  return { digits, point: whole.length + Number(exponent) - (all.length - digits.length) };
}

/** Keeps so many digits; none or fewer leave at most the digit that rounding up makes. */
function roundDigits({ digits, point }: Digits, count: number): Digits {
  if (count >= digits.length) return { digits, point };
  if (count < 0) return { digits: "", point };
  const kept = digits.slice(0, count);
  const rest = digits.slice(count);
  const half = `5${"0".repeat(rest.length - 1)}`;
  const isOdd = count > 0 && (digits.charCodeAt(count - 1) - 48) % 2 === 1;
  if (rest < half || (rest === half && !isOdd)) return { digits: kept, point };
  const raised = (BigInt(kept === "" ? "0" : kept) + 1n).toString().padStart(count, "0");
  return { digits: raised, point: point + raised.length - count };
}

/** `precision` counts the digits after the point for `e` and `f` and all for `g`; without it as few as are needed. */
export function formatDouble(value: number, form: "e" | "f" | "g", precision: number | undefined): string {
  const sign = value < 0 ? "-" : "";
  const size = Math.abs(value);
  if (size === 0) return sign + (form === "g" ? "0" : zeroText(form, precision ?? 0));
  if (precision === undefined) {
    const shortest = shortestDigits(size);
    const { digits } = shortest;
    const exact = { digits: digits.replace(/0+$/, ""), point: shortest.point };
    if (form === "e") return sign + scientific(exact, Math.max(exact.digits.length - 1, 0));
    if (form === "f") return sign + positional(exact, Math.max(exact.digits.length - exact.point, 0));
    return sign + general(exact, 6, exact.digits.length);
  }
  const exact = exactDigits(size);
  switch (form) {
    case "e":
      return sign + scientific(roundDigits(exact, precision + 1), precision);
    case "f":
      return sign + positional(roundDigits(exact, exact.point + precision), precision);
    case "g": {
      const count = precision === 0 ? 1 : precision;
      const rounded = roundDigits(exact, count);
      const digits = rounded.digits.replace(/0+$/, "");
      let limit = count;
      if (limit > digits.length && digits.length >= rounded.point) limit = digits.length;
      return sign + general({ digits, point: rounded.point }, limit, digits.length);
    }
  }
}

function zeroText(form: "e" | "f", precision: number): string {
  const digits = precision > 0 ? `0.${"0".repeat(precision)}` : "0";
  return form === "e" ? `${digits}e+00` : digits;
}

function general(number: Digits, limit: number, count: number): string {
  const exponent = number.point - 1;
  if (exponent < -4 || exponent >= limit) return scientific(number, Math.max(count - 1, 0));
  return positional(number, Math.max(count - number.point, 0));
}

function scientific({ digits, point }: Digits, precision: number): string {
  const padded = digits.padEnd(precision + 1, "0");
  const exponent = point - 1;
  const fraction = precision > 0 ? `.${padded.slice(1, precision + 1)}` : "";
  return `${padded[0]}${fraction}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function positional({ digits, point }: Digits, precision: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, "0") : "0";
  if (precision === 0) return whole;
  const fraction = point > 0 ? digits.slice(point) : "0".repeat(Math.min(-point, precision)) + digits;
  return `${whole}.${fraction.slice(0, precision).padEnd(precision, "0")}`;
}

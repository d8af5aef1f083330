/**
 * Takes secrets out of what an upstream sends back. Found are the value as it is, its base64 and base64url inside any
 * longer text (that of its form in a URL, too), and each of these escaped for JSON (also several times over) or for URLs, character by character or not
 * at all. Other encodings, and a value that comes in several pieces, are not found; docs/operations.md says so.
 */

/** Secrets hold no backslash, quote or percent sign: credential-files.ts takes none that does. */
export type MaskSecrets = (text: string) => string;

const MASK = "***";
/** Backslashes as JSON puts them, however often it was escaped, and percent signs as URLs have them. */
const ESCAPE = /\\+u([0-9a-fA-F]{4})|\\+([^\\])|%([0-9a-fA-F]{2})/gs;
const CONTROLS: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };

export function createMaskSecrets(secrets: readonly string[]): MaskSecrets {
  if (secrets.length === 0) return (text) => text;
  const plain = [
    ...new Set(secrets.flatMap((secret) => [secret, ...[secret, ...urlForms(secret)].flatMap(base64Forms)])),
  ];
  return (text) => {
    let masked = text;
    for (const needle of plain) if (masked.includes(needle)) masked = masked.replaceAll(needle, MASK);
    return masked.includes("\\") || masked.includes("%") ? maskEscaped(masked, plain) : masked;
  };
}

/** As the secret stands in a URL, which an upstream may encode whole. */
function urlForms(secret: string): readonly string[] {
  return [encodeURIComponent(secret), new URLSearchParams({ s: secret }).toString().slice(2)];
}

/** The characters that are the same whatever stands before and after the secret, for each of three places to start. */
function base64Forms(secret: string): readonly string[] {
  const bytes = Buffer.from(secret, "utf8");
  return [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    const form = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return [form, form.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

interface Unescaped {
  readonly text: string;
  /** Of each escape: its place here, and its beginning and end in what it was made of. */
  readonly escapes: readonly (readonly [at: number, from: number, to: number])[];
}

function removeEscapes(source: string): Unescaped {
  const escapes: [number, number, number][] = [];
  let text = "";
  let from = 0;
  for (const match of source.matchAll(ESCAPE)) {
    const [whole, unicode, letter, percent] = match;
    text += source.slice(from, match.index);
    escapes.push([text.length, match.index, match.index + whole.length]);
    const hex = unicode ?? percent;
    text += hex === undefined ? (CONTROLS[letter ?? ""] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16));
    from = match.index + whole.length;
  }
  return { text: text + source.slice(from), escapes };
}

function maskEscaped(source: string, needles: readonly string[]): string {
  const { text, escapes } = removeEscapes(source);
  const ranges: [number, number][] = [];
  for (const needle of needles) {
    for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + needle.length)) {
      ranges.push([sourceOf(escapes, at)[0], sourceOf(escapes, at + needle.length - 1)[1]]);
    }
  }
  ranges.sort(([a], [b]) => a - b);
  let out = "";
  let from = 0;
  for (const [start, end] of ranges) {
    if (start >= from) out += source.slice(from, start) + MASK;
    from = Math.max(from, end);
  }
  return out + source.slice(from);
}

/** Where in the source the character at `at` begins and ends. */
function sourceOf(escapes: Unescaped["escapes"], at: number): readonly [number, number] {
  let low = 0;
  let high = escapes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((escapes[middle]?.[0] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  const last = escapes[low - 1];
  if (last === undefined) return [at, at + 1];
  const [place, from, to] = last;
  return place === at ? [from, to] : [to + at - place - 1, to + at - place];
}

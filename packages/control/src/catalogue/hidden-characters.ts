/** Characters that a person does not see and a model does: told by name, and written so that they are seen. */

const EMOJI = String.raw`[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}#*0-9]`;
/** Joiners that ordinary text needs: within an emoji, and in scripts whose letters change shape. */
const ORDINARY = new RegExp(
  [
    String.raw`(?<=${EMOJI})[\uFE0E\uFE0F]`,
    String.raw`(?<=[\p{Extended_Pictographic}\uFE0F\p{Emoji_Modifier}])\u200D(?=\p{Extended_Pictographic})`,
    String.raw`(?<=[\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Sinhala}\p{Script=Malayalam}\p{M}])[\u200C\u200D]`,
  ].join("|"),
  "gu",
);
const HIDDEN = /[\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?![\t\n\r])\p{Cc}/gu;

/** The hidden characters of all texts, each once, as `U+200B`. */
export function hiddenCharacters(texts: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const text of texts) {
    for (const [character] of text.replaceAll(ORDINARY, "").matchAll(HIDDEN)) found.add(codeOf(character));
  }
  return [...found].sort();
}

/** The text with its hidden characters written out; its lines stay lines. */
export function showHidden(text: string): string {
  return text.replaceAll(HIDDEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

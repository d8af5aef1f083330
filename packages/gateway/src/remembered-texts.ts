/**
 * Remembers texts that are asked for again and again and take long to make, such as the tools that one token is shown on
 * one revision. Bounded by the characters that it holds; decides nothing.
 */
export interface RememberedTexts {
  /** The text of this key, which names everything that it rests on; made when it is not known, or not valid any more. */
  get(key: string, nowMs: number, make: () => { readonly text: string; readonly validUntilMs: number }): string;
}

/** A text that would push out too many others is made each time. */
const SHARE_MAX = 1 / 2;

/** In Latin-1 a character takes a byte, in other scripts two. */
export function createRememberedTexts(charactersMax: number): RememberedTexts {
  /** The one used last is last. */
  const texts = new Map<string, { readonly text: string; readonly validUntilMs: number }>();
  let characters = 0;

  function forget(key: string): void {
    const known = texts.get(key);
    if (known === undefined) return;
    texts.delete(key);
    characters -= key.length + known.text.length;
  }

  return {
    get(key, nowMs, make) {
      const known = texts.get(key);
      if (known !== undefined && nowMs < known.validUntilMs) {
        texts.delete(key);
        texts.set(key, known);
        return known.text;
      }
      forget(key);
      const made = make();
      const size = key.length + made.text.length;
      if (size > charactersMax * SHARE_MAX || !(nowMs < made.validUntilMs)) return made.text;
      for (const oldest of texts.keys()) {
        if (characters + size <= charactersMax) break;
        forget(oldest);
      }
      texts.set(key, made);
      characters += size;
      return made.text;
    },
  };
}

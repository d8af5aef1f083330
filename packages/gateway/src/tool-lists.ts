/**
 * Remembers lists of tools as they were made for one token on one revision, since a client asks again and again for
 * what has not changed. Bounded by the characters that it holds; decides nothing.
 */
export interface ToolLists {
  /** The list of this key, which names everything that it rests on; made when it is not known, or not valid any more. */
  get(key: string, nowMs: number, make: () => { readonly text: string; readonly validUntilMs: number }): string;
}

/** About 48 MB where texts hold nothing beyond Latin-1, at most twice that. */
const CHARACTERS_MAX = 48 * 1024 * 1024;
/** A list that would push out too many others is made each time. */
const LIST_CHARACTERS_MAX = CHARACTERS_MAX / 16;

export function createToolLists(charactersMax = CHARACTERS_MAX): ToolLists {
  /** The one used last is last. */
  const lists = new Map<string, { readonly text: string; readonly validUntilMs: number }>();
  let characters = 0;

  function forget(key: string): void {
    const list = lists.get(key);
    if (list === undefined) return;
    lists.delete(key);
    characters -= key.length + list.text.length;
  }

  return {
    get(key, nowMs, make) {
      const known = lists.get(key);
      if (known !== undefined && nowMs < known.validUntilMs) {
        lists.delete(key);
        lists.set(key, known);
        return known.text;
      }
      forget(key);
      const made = make();
      const size = key.length + made.text.length;
      if (size > Math.min(LIST_CHARACTERS_MAX, charactersMax) || !(nowMs < made.validUntilMs)) return made.text;
      for (const oldest of lists.keys()) {
        if (characters + size <= charactersMax) break;
        forget(oldest);
      }
      lists.set(key, made);
      characters += size;
      return made.text;
    },
  };
}

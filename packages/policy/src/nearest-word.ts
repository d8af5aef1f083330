/** Finds the word that somebody who mistyped probably meant. */

const DISTANCE_MAX = 2;

/** `did you mean "x"?` for the nearest of `words`, else the list of them. */
export function suggestWord(typed: string, words: readonly string[]): string {
  let best: string | undefined;
  let bestDistance = DISTANCE_MAX + 1;
  for (const word of words) {
    const distance = editDistance(typed.slice(0, 64).toLowerCase(), word);
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best === undefined ? `known are ${words.join(", ")}` : `did you mean "${best}"?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

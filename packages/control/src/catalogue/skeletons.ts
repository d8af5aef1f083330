/** What a text looks like to a person, so that texts which can be taken for each other are found to be the same. */
import unhomoglyph from "unhomoglyph";

/** What a name looks like (UTS 39 section 4), as it is written and without regard to case. */
export function skeletons(name: string): readonly string[] {
  const plain = name.replaceAll(/\p{Default_Ignorable_Code_Point}/gu, "");
  return [...new Set([skeleton(plain), skeleton(plain.normalize("NFKC").toLowerCase())])];
}

export function skeleton(text: string): string {
  return unhomoglyph(text.normalize("NFD")).normalize("NFD");
}

/** The names of damage that the verifier finds. docs/log-format.md explains each to readers. */

/** How many findings one verification reports; later ones are counted. */
export const FINDINGS_MAX = 100;

export const DAMAGES = [
  /** The content of an entry (event, leaf, hash, commit time or number) was changed in place. */
  "mutated",
  "removed_beginning",
  "removed_middle",
  /** Entries that a head or a checkpoint speaks of are missing at the end. */
  "truncated",
  /** Entries are there, but not in the order in which they were linked. */
  "reordered",
  /** An entry is there twice. */
  "duplicated",
  /** An entry stands between two that were linked to each other. */
  "inserted",
  /** The chain agrees with itself and not with a checkpoint or seal: links were computed anew. */
  "rehashed",
  /** Two statements that no single log can satisfy: two entries of one number, or two signed histories. */
  "forked",
  /** The head is behind what was seen, signed or stored. */
  "head_regressed",
  /** The head names the right number and another hash or root. */
  "head_wrong",
  "seal_wrong",
  /** More entries without a seal than the caller accepts. */
  "seal_missing",
  "checkpoint_wrong",
  /** Something that cannot be read as part of a log at all. */
  "malformed",
] as const;

export type Damage = (typeof DAMAGES)[number];

export interface Finding {
  readonly damage: Damage;
  /** The first bad entry, as far as it can be told. */
  readonly sequence: number;
  /** When the damage lies somewhere in a stretch: its last sequence. */
  readonly through?: number;
  readonly detail: string;
}

/**
 * What the signer of checkpoints may sign, as a pure function of what it signed last. Keeping that outside the
 * database, reading the log and signing are the control plane's.
 */

/** What a signer remembers of one tenant's log. */
export interface SignedPosition {
  readonly epoch: number;
  readonly size: number;
  /** Lower-case hex. */
  readonly root: string;
}

export type SignerRefusal = "epoch_regressed" | "size_regressed" | "root_changed" | "inconsistent";

export type SignerVerdict =
  /** A first checkpoint, a new epoch, or more entries after those already signed. */
  | { readonly kind: "extends" }
  /** What was signed last, once more: allowed, and says nothing new. */
  | { readonly kind: "unchanged" }
  | { readonly kind: "refused"; readonly reason: SignerRefusal };

/**
 * Whether `next` may be signed after `last`. `consistencyOk` is the caller's finding that the first `last.size`
 * entries of the log in hand still have the root `last.root`; it is asked for whenever there is something to be
 * consistent with in the same epoch. A new epoch is opened by an administrator and starts from nothing.
 */
export function mayExtend(
  last: SignedPosition | undefined,
  next: SignedPosition,
  consistencyOk: boolean,
): SignerVerdict {
  if (last === undefined || next.epoch > last.epoch) return { kind: "extends" };
  if (next.epoch < last.epoch) return { kind: "refused", reason: "epoch_regressed" };
  if (next.size < last.size) return { kind: "refused", reason: "size_regressed" };
  if (next.size === last.size) {
    return next.root === last.root ? { kind: "unchanged" } : { kind: "refused", reason: "root_changed" };
  }
  return consistencyOk === true ? { kind: "extends" } : { kind: "refused", reason: "inconsistent" };
}

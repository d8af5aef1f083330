/**
 * What bounds the work of an evaluation. Everything that loops over values burns fuel, wherever it is called from; when
 * it is used up, the evaluation at hand decides whether there is more or throws. Outside of an evaluation there is no end
 * of it. Evaluations are synchronous and one inside another gives back what it found, so one meter is enough.
 */
export const fuel: { left: number; onEmpty: () => void } = { left: Number.POSITIVE_INFINITY, onEmpty: () => {} };

/** Accounts for work; throws what the evaluation at hand throws when its bound is reached. */
export function burn(amount: number): void {
  fuel.left -= amount;
  if (fuel.left < 0) fuel.onEmpty();
}

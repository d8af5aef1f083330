/**
 * What bounds the work of an evaluation. Everything that loops over values burns fuel, wherever it is called from; when
 * it is used up, the evaluation at hand decides whether there is more or throws. Outside of an evaluation there is no end
 * of it. Evaluations are synchronous, and one inside another gives back what it found, so one meter is enough.
 */

/** Whoever pays for the work at hand. */
export interface Payer {
  /** Answers with more fuel, or throws. */
  refuel(): number;
}

export const fuel: { left: number; payer: Payer | undefined } = { left: Number.POSITIVE_INFINITY, payer: undefined };

/** Accounts for work; throws what the evaluation at hand throws when its bound is reached. */
export function burn(amount: number): void {
  fuel.left -= amount;
  if (fuel.left < 0) refuel();
}

function refuel(): void {
  // What was asked for may be more than one portion.
  while (fuel.left < 0) fuel.left += fuel.payer?.refuel() ?? Number.POSITIVE_INFINITY;
}

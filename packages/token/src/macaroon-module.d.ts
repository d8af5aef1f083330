/** The part that our tests use of npm's `macaroon`, which brings no types of its own. */
declare module "macaroon" {
  interface Macaroon {
    readonly signature: Uint8Array;
    addFirstPartyCaveat(caveat: string | Uint8Array): void;
    /** Doubles its buffer at each of some four writes a caveat, so that six caveats exhaust the memory (3.0.4). */
    exportBinary(): Uint8Array;
    /** Throws unless the signature fits; `check` answers null for a caveat that holds. */
    verify(rootKey: Uint8Array, check: (caveat: string) => string | null, discharges?: readonly Macaroon[]): void;
  }
  const library: {
    newMacaroon(options: { identifier: string | Uint8Array; rootKey: Uint8Array; version?: number }): Macaroon;
    importMacaroon(bytes: Uint8Array): Macaroon;
  };
  export = library;
}

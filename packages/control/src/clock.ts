/** Time and randomness as the control plane is given them. */

export interface Clock {
  nowMs(): number;
}

export interface Random {
  bytes(length: number): Uint8Array;
}

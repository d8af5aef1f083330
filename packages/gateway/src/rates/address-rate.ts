/**
 * The rate of an address, before anything of a request is read: how many requests a gateway answers it in a minute. IPv4
 * addresses by themselves, IPv6 ones by their /64, which is what one peer usually has. A bounded number of addresses is
 * told apart; the others share one rate.
 */
import { ratePeriodMs, readPeerAddress } from "@writ/contract";
import type { SharedRates } from "./call-rates.ts";
import { countAttempt } from "./count-attempt.ts";
import { type RateStanding, waitSeconds } from "./rate-standing.ts";
import { createRateTable } from "./rate-table.ts";

export type AddressAdmission =
  | { readonly kind: "admitted"; readonly standings: readonly RateStanding[] }
  | { readonly kind: "refused"; readonly retryAfterSeconds: number; readonly standings: readonly RateStanding[] };

export interface AddressRate {
  admit(remoteAddress: string, nowMs: number): AddressAdmission;
  /** Forgets what is empty, and tells how often addresses shared a window for lack of room. */
  take(nowMs: number): readonly SharedRates[];
}

const ADDRESSES_MAX = 10_000;

export function createAddressRate(options: {
  readonly requestsPerMinute: number;
  readonly liveGateways: () => number;
  readonly addressesMax?: number;
}): AddressRate {
  const limit = options.requestsPerMinute;
  const periodMs = ratePeriodMs("minute");
  const addresses = createRateTable({ windowsMax: options.addressesMax ?? ADDRESSES_MAX });
  return {
    admit(remoteAddress, nowMs) {
      const windows = addresses.find(networkOf(remoteAddress), [], nowMs);
      const attempt = countAttempt(
        [{ name: "address-minute", limit, periodMs, windows }],
        options.liveGateways(),
        nowMs,
      );
      if (attempt.kind === "admitted") return attempt;
      return { kind: "refused", retryAfterSeconds: waitSeconds(attempt.waitMs), standings: attempt.standings };
    },
    take(nowMs) {
      addresses.sweep(nowMs);
      const count = addresses.takeShared();
      return count === 0 ? [] : [{ table: "addresses", count }];
    },
  };
}

/** What is counted together; addresses that cannot be read are one. */
function networkOf(text: string): string {
  // A zone says which of this machine's links it is, and nothing about the peer.
  const address = readPeerAddress(text.split("%", 1)[0] ?? "");
  if (address === undefined) return "unreadable";
  return address.length === 4 ? address.join(".") : address.slice(0, 8).join(":");
}

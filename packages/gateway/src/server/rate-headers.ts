/**
 * Where rates stand, as headers of an answer: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10),
 * and for older clients `X-RateLimit-*`, which can tell of one rate only. Pure.
 */
import type { RateStanding } from "../rates/rate-standing.ts";

/** Of several rates of one name the one that has least left. None of them: no header. */
export function rateHeaders(standings: readonly RateStanding[]): Readonly<Record<string, string>> {
  const byName = new Map<string, RateStanding>();
  let tightest: RateStanding | undefined;
  for (const standing of standings) {
    const known = byName.get(standing.name);
    if (known === undefined || isTighter(standing, known)) byName.set(standing.name, standing);
    if (tightest === undefined || isTighter(standing, tightest)) tightest = standing;
  }
  if (tightest === undefined) return {};
  const told = [...byName.values()];
  return {
    "ratelimit-policy": told
      .map(({ name, limit, periodMs }) => `"${name}";q=${limit};w=${seconds(periodMs)}`)
      .join(", "),
    ratelimit: told
      .map(({ name, remaining, freeInMs }) => `"${name}";r=${remaining};t=${seconds(freeInMs)}`)
      .join(", "),
    "x-ratelimit-limit": String(tightest.limit),
    "x-ratelimit-remaining": String(tightest.remaining),
    "x-ratelimit-reset": String(seconds(tightest.freeInMs)),
  };
}

/** Of equally little left, the one that takes longer to have more. */
function isTighter(a: RateStanding, b: RateStanding): boolean {
  return a.remaining < b.remaining || (a.remaining === b.remaining && a.freeInMs > b.freeInMs);
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

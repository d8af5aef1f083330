/**
 * How sockets to HTTP upstreams are opened: the name is resolved here, every address that it has is judged, and the
 * socket gets those addresses and no others, so that nothing resolves the name a second time (DNS rebinding). One
 * address that may not be reached refuses them all. Each new connection is judged; an open one keeps its address.
 */
import { type LookupAddress, lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { type AddressRules, explainRefusal } from "@writ/runtime";
import { buildConnector } from "undici";

/** All addresses of a name, as the machine resolves it. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

export interface GuardedConnectorOptions {
  readonly rules: AddressRules;
  readonly resolve: Resolve;
  readonly timeoutMs: number;
  /** Whether what is sent there must not cross a public network: then only listed addresses will do. */
  readonly listedOnly: boolean;
  /** After each judgement: why the connection was refused, or undefined. */
  readonly onJudged: (refusal: AddressRefused | undefined) => void;
}

/** The message is safe to record and to show: it names the host and the kind of its address, not the address. */
export class AddressRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "AddressRefused";
  }
}

/** The code of a network error where it has one: addresses and paths stay out of what is recorded. */
export function describeConnectionError(error: unknown): string {
  if (error instanceof AddressRefused) return error.message;
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? `connection failed (${code})` : "connection failed";
}

export function createGuardedConnector(options: GuardedConnectorOptions): buildConnector.connector {
  const guardedLookup: LookupFunction = (host, { all, family }, callback) => {
    options.resolve(host).then(
      (addresses) => {
        const refusal = judge(options, host, addresses);
        const wanted = addresses.filter((each) => typeof family !== "number" || family === 0 || each.family === family);
        const [first] = wanted;
        if (refusal !== undefined) callback(refusal, []);
        else if (first === undefined) callback(Object.assign(new Error("no address"), { code: "ENOTFOUND" }), []);
        else if (all === true) callback(null, [...wanted]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
  const connect = buildConnector({ timeout: options.timeoutMs, lookup: guardedLookup });
  return (target, callback) => {
    const family = isIP(target.hostname);
    // An address in the URL is not looked up by anybody.
    const refusal = family === 0 ? undefined : judge(options, target.hostname, [{ address: target.hostname, family }]);
    if (refusal === undefined) connect(target, callback);
    else queueMicrotask(() => callback(refusal, null));
  };
}

function judge(
  options: GuardedConnectorOptions,
  host: string,
  addresses: readonly LookupAddress[],
): AddressRefused | undefined {
  const refusal = refusalOf(options, host, addresses);
  options.onJudged(refusal);
  return refusal;
}

function refusalOf(
  { rules, listedOnly }: GuardedConnectorOptions,
  host: string,
  addresses: readonly LookupAddress[],
): AddressRefused | undefined {
  for (const { address } of addresses) {
    const verdict = rules.judge(host, address);
    if (verdict.kind === "refused") return new AddressRefused(explainRefusal(host, verdict.is));
    if (verdict.kind === "public" && listedOnly) {
      return new AddressRefused(
        `credentials of ${host} would travel in the clear: use https, or list its address in upstreams.allowedAddresses`,
      );
    }
  }
  return undefined;
}

export const resolveBySystem: Resolve = (host) =>
  new Promise((resolve, reject) => {
    lookup(host, { all: true, order: "verbatim" }, (error, addresses) => {
      if (error === null) resolve(addresses);
      else reject(error);
    });
  });

/**
 * The credentials of one upstream: put into their bound positions of each request when it goes to the wire, which is
 * after its commit, and masked in whatever comes back. They are kept in memory here and nowhere else.
 */
import type { UpstreamCredential } from "@writ/contract";
import type { Dispatcher } from "undici";
import type { CredentialFiles } from "./credential-files.ts";
import { createMaskSecrets, type MaskSecrets } from "./mask-secrets.ts";

/** The way to one upstream: what is dispatched gets its credentials, and what comes back has to pass `mask`. */
export interface UpstreamConnection {
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean;
  /** Of each text that came back, before anybody reads it. */
  mask(text: string): string;
}

export interface Credentials {
  /** Brings the values up to their files. Failure `upstream_unavailable`. */
  refresh(): Promise<void>;
  over(dispatcher: Dispatcher): UpstreamConnection;
}

/** Values that were used before and may still be reflected. */
const FORMER_MAX = 8;

export function createCredentials(bindings: readonly UpstreamCredential[], files: CredentialFiles): Credentials {
  let values: readonly string[] = [];
  let former: readonly string[] = [];
  let mask: MaskSecrets = createMaskSecrets([]);

  return {
    async refresh() {
      const now = await Promise.all(bindings.map(({ file }) => files.read(file)));
      if (now.every((value, at) => value === values[at])) return;
      former = [...new Set([...values, ...former])].filter((value) => !now.includes(value)).slice(0, FORMER_MAX);
      values = now;
      mask = createMaskSecrets([...now, ...former]);
    },
    over: (dispatcher) => ({
      dispatch(options, handler) {
        if (bindings.length === 0) return dispatcher.dispatch(options, handler);
        // Headers are names and values in turn everywhere on this side.
        const headers = [...((options.headers ?? []) as readonly string[])];
        let path = options.path;
        for (const [at, { in: where, name, prefix = "" }] of bindings.entries()) {
          const value = values[at];
          if (value === undefined) throw new TypeError("a request before its credentials were read");
          if (where === "header") headers.push(name, `${prefix}${value}`);
          else path += `${path.includes("?") ? "&" : "?"}${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
        }
        return dispatcher.dispatch({ ...options, path, headers }, handler);
      },
      mask: (text) => mask(text),
    }),
  };
}

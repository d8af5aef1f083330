/**
 * The credentials of one upstream: put into their bound positions of each request when it goes to the wire, which is
 * after its commit, and masked in whatever comes back. They are kept in memory here and nowhere else.
 */
import type { UpstreamCredential } from "@writ/contract";
import type { Dispatcher } from "undici";
import type { HttpSink } from "../ports.ts";
import type { CredentialFiles } from "./credential-files.ts";
import { createMaskSecrets, type MaskSecrets } from "./mask-secrets.ts";
import { createStreamMask, streamForms } from "./mask-stream.ts";

/** The way to one upstream: what is dispatched gets its credentials, and what comes back has to pass `mask`. */
export interface UpstreamConnection {
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean;
  /** Of each text that came back, before anybody reads it. */
  mask(text: string): string;
}

export interface Credentials {
  /** Brings the values up to their files. Failure `upstream_unavailable`. */
  refresh(): Promise<void>;
  over(dispatcher: Pick<Dispatcher, "dispatch">): UpstreamConnection;
  /** A sink of one answer of an HTTP API, which is passed on as it comes. */
  maskAnswer(sink: HttpSink): MaskedAnswer;
}

export interface MaskedAnswer extends HttpSink {
  /** Passes on what waited for more, when the answer has come to its end. */
  end(): void | Promise<void>;
}

/** Parts of an answer could be asked for one by one, and a secret that is in none of them whole be put together. */
const NOT_SENT: ReadonlySet<string> = new Set(["range", "if-range"]);

/** Values that were used before and may still be reflected. */
const FORMER_MAX = 8;

export function createCredentials(bindings: readonly UpstreamCredential[], files: CredentialFiles): Credentials {
  let values: readonly string[] = [];
  let former: readonly string[] = [];
  let mask: MaskSecrets = createMaskSecrets([]);
  let forms: readonly string[] = [];
  const isOurs = (name: string, where: UpstreamCredential["in"]): boolean =>
    bindings.some((binding) => binding.in === where && spell(binding.name) === spell(name));

  return {
    async refresh() {
      const now = await Promise.all(bindings.map(({ file }) => files.read(file)));
      if (now.every((value, at) => value === values[at])) return;
      former = [...new Set([...values, ...former])].filter((value) => !now.includes(value)).slice(0, FORMER_MAX);
      values = now;
      mask = createMaskSecrets([...now, ...former]);
      forms = streamForms([...now, ...former]);
    },
    over: (dispatcher) => ({
      dispatch(options, handler) {
        if (bindings.length === 0) return dispatcher.dispatch(options, handler);
        // Headers are names and values in turn everywhere on this side.
        const given = (options.headers ?? []) as readonly string[];
        // What the agent sent in the place of a credential is not sent beside it.
        const headers = given.filter((_, at) => {
          const name = given[at - (at % 2)] ?? "";
          return !NOT_SENT.has(name) && !isOurs(name, "header");
        });
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
    maskAnswer(sink) {
      const body = createStreamMask(forms);
      const header = mask;
      const pass = (chunk: Uint8Array): void | Promise<void> => (chunk.length === 0 ? undefined : sink.data(chunk));
      return {
        head(status, headers) {
          const masked = Object.entries(headers).map(([name, value]): [string, string | string[]] => {
            if (name === "location") return [name, header(withoutParameters(String(value), isOurs))];
            return [name, typeof value === "string" ? header(value) : value.map(header)];
          });
          sink.head(status, Object.fromEntries(masked));
        },
        data: (chunk) => pass(body.push(chunk)),
        end: () => pass(body.end()),
      };
    },
  };
}

/** Gateways of other languages take an underscore for a dash, and every case for every other. */
function spell(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** A target as the agent may ask for it again: what is set for it is not its to send. */
function withoutParameters(target: string, isOurs: (name: string, where: "query") => boolean): string {
  const mark = target.indexOf("?");
  if (mark < 0) return target;
  const kept = target
    .slice(mark + 1)
    .split("&")
    .filter((parameter) => !isOurs(parameter.split("=")[0] ?? "", "query"));
  return kept.length === 0 ? target.slice(0, mark) : `${target.slice(0, mark)}?${kept.join("&")}`;
}

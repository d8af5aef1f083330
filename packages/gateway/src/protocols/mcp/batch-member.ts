/**
 * One message of a batch, seen as a request of its own: what would be its HTTP answer becomes one element of the batch's
 * answer. Nothing streams, because the elements go back together.
 */
import type { Exchange } from "../../server/data-listener.ts";

export interface BatchMember {
  readonly exchange: Exchange;
  /** JSON text of the element; undefined where nothing is answered (a notification). */
  answer(): string | undefined;
}

export function createBatchMember(whole: Exchange, idText: string): BatchMember {
  const cut = new AbortController();
  if (whole.cut.signal.aborted) cut.abort();
  whole.cut.signal.addEventListener("abort", () => cut.abort(), { once: true, signal: cut.signal });
  let answered: string | undefined;
  const take = (body: string): void => {
    answered ??= body === "" ? undefined : body;
  };
  return {
    answer: () => answered,
    exchange: {
      ...whole,
      // Cancelling one member leaves the others.
      cut,
      answer: (_status, _headers, body) => take(body),
      problem: ({ body, status }) => take(body.startsWith('{"jsonrpc"') ? body : asError(idText, status, body)),
      write: () => undefined,
    },
  };
}

/** What alone would be an HTTP status: the element says the same with the reason's code and sentence. */
function asError(idText: string, status: number, body: string): string {
  const problem = body.startsWith("{") ? (JSON.parse(body) as Readonly<Record<string, unknown>>) : {}; // of our own making
  const message = typeof problem["title"] === "string" ? problem["title"] : "Refused";
  const data = { status, ...(problem["reason"] === undefined ? {} : { reason: problem["reason"] }) };
  return `{"jsonrpc":"2.0","id":${idText},"error":${JSON.stringify({ code: -32000, message, data })}}`;
}

/**
 * One keep-alive HTTP/1.1 connection of the load generator: writes a prepared request, reads one answer. Knows only
 * what it needs (Content-Length and chunked answers), because the generator shares two cores with what it measures.
 */
import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  /** The body as latin1 text. */
  readonly body: string;
}

export interface Connection {
  /** Sends one request and resolves with its answer; one at a time. */
  exchange(request: Buffer): Promise<Answer>;
  close(): void;
}

export function openConnection(host: string, port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host, port, noDelay: true });
    let buffered = "";
    /** Characters of the answer under way, once its head says so: before that many are there nobody looks at them. */
    let wanted = 0;
    let pending: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
    let broken: Error | undefined;

    const fail = (error: Error): void => {
      broken = error;
      reject(error);
      pending?.reject(error);
      pending = undefined;
    };
    socket.on("error", fail);
    socket.on("close", () => fail(broken ?? new Error("the connection was closed")));
    socket.on("data", (chunk: Buffer) => {
      buffered += chunk.toString("latin1");
      if (buffered.length < wanted) return;
      const answer = takeAnswer(buffered);
      if (typeof answer === "number") {
        wanted = answer;
        return;
      }
      wanted = 0;
      buffered = buffered.slice(answer.length);
      const done = pending;
      pending = undefined;
      done?.resolve(answer);
    });
    socket.once("connect", () =>
      resolve({
        exchange(request) {
          return new Promise((resolveAnswer, rejectAnswer) => {
            if (broken !== undefined) {
              rejectAnswer(broken);
              return;
            }
            pending = { resolve: resolveAnswer, reject: rejectAnswer };
            socket.write(request);
          });
        },
        close: () => socket.destroy(),
      }),
    );
  });
}

/** The first whole answer in `text` and how many characters it took; while it is incomplete, how many it has at least. */
function takeAnswer(text: string): (Answer & { readonly length: number }) | number {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return 0;
  const head = text.slice(0, headEnd).toLowerCase();
  const status = Number(head.slice(9, 12));
  const start = headEnd + 4;
  const lengthAt = head.indexOf("\r\ncontent-length:");
  if (lengthAt >= 0) {
    const lineEnd = head.indexOf("\r\n", lengthAt + 2);
    const length = Number(head.slice(lengthAt + 17, lineEnd < 0 ? undefined : lineEnd));
    if (text.length < start + length) return start + length;
    return { status, body: text.slice(start, start + length), length: start + length };
  }
  if (!head.includes("\r\ntransfer-encoding: chunked")) return { status, body: "", length: start };
  let body = "";
  let at = start;
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return 0;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (text.length < lineEnd + 2 + size + 2) return lineEnd + 2 + size + 2;
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
    if (size === 0) return { status, body, length: at };
  }
}

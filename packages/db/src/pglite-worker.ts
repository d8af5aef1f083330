/**
 * The thread in which the embedded database runs: protocol bytes in, protocol bytes out, one exchange at a time. It
 * understands none of them; see `pglite.ts` for what is sent.
 */
import { parentPort, workerData } from "node:worker_threads";
import { PGlite } from "@electric-sql/pglite";
import { startParameters } from "./pglite-settings.ts";

/** To the thread: the bytes of one exchange, or the wish to close. */
export type WorkerRequest = Uint8Array | "close";
/** From the thread: it is ready, the bytes of the answer, or it has closed. */
export type WorkerAnswer = "ready" | "closed" | Uint8Array;

const port = parentPort;
if (port === null) throw new Error("pglite-worker runs in a worker thread only");
// Set by `openPglite`, which starts this thread.
const { dataDir } = workerData as { dataDir: string };
const database = await PGlite.create({ dataDir, startParams: startParameters() });

port.on("message", (request: WorkerRequest) => {
  if (request === "close") {
    // A failure to close leaves what a crash leaves, and the next start replays the log.
    database.close().then(
      () => port.postMessage("closed" satisfies WorkerAnswer),
      () => port.postMessage("closed" satisfies WorkerAnswer),
    );
    return;
  }
  const answer = run(request);
  port.postMessage(answer satisfies WorkerAnswer, [answer.buffer]);
});
port.postMessage("ready" satisfies WorkerAnswer);

function run(request: Uint8Array): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  // Without file-system synchronisation the call runs to its end before it returns; a failure of it ends the thread.
  void database.execProtocolRawStream(request, {
    syncToFs: false,
    onRawData: (view) => {
      const chunk = new Uint8Array(view);
      chunks.push(chunk);
      length += chunk.length;
    },
  });
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const answer = new Uint8Array(length);
  let position = 0;
  for (const chunk of chunks) {
    answer.set(chunk, position);
    position += chunk.length;
  }
  return answer;
}

/**
 * A loopback TCP proxy in front of Postgres that can cut a connection at an exact message: before the message has
 * reached the server, or after the server has answered it and before the answer has reached the client. It reads the
 * lengths and letters of the client's messages and nothing else of the protocol.
 */
import net from "node:net";

export interface CutRule {
  /**
   * The message at which to cut: COMMIT, the first one whose bytes contain a text, or the n-th message of a connection
   * after it has signed in, counted from 1.
   */
  readonly at: "commit" | { readonly text: string } | { readonly message: number };
  /** `before`: the server never sees it. `after`: the server has carried it out, the client never hears of it. */
  readonly when: "before" | "after";
}

export interface TcpProxy {
  readonly port: number;
  /** The same URL through the proxy. */
  url(url: string): string;
  /** Arms one cut; it happens once. Resolves when it has. */
  cutOnce(rule: CutRule): Promise<void>;
  /** Cuts every open connection now. */
  cutAll(): void;
  /** Stops (or resumes) passing bytes in both directions, as a network that swallows packets would. */
  setSilent(silent: boolean): void;
  /** Refuses new connections while true. */
  setRefusing(refusing: boolean): void;
  close(): Promise<void>;
}

interface Armed {
  readonly rule: CutRule;
  readonly done: () => void;
}

/** How long a server may take over a message to cut after, when no end of its answer is seen. */
const ANSWER_MS = 300;

/** Starts a proxy to `127.0.0.1:port`. */
export async function startTcpProxy(port: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let armed: Armed | undefined;
  let refusing = false;
  let silent = false;
  const take = (matches: (rule: CutRule) => boolean): CutRule | undefined => {
    if (armed === undefined || !matches(armed.rule)) return undefined;
    const { rule, done } = armed;
    armed = undefined;
    done();
    return rule;
  };
  const server = net.createServer((client) => {
    if (refusing) {
      client.destroy();
      return;
    }
    const pair = new Pair(client, net.connect({ host: "127.0.0.1", port, noDelay: true }), take, () =>
      pairs.delete(pair),
    );
    pair.setSilent(silent);
    pairs.add(pair);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  const cutAll = (): void => {
    for (const pair of [...pairs]) pair.cut();
  };
  return {
    port: address.port,
    url: (url) => {
      const through = new URL(url);
      through.hostname = "127.0.0.1";
      through.port = String(address.port);
      return through.href;
    },
    cutOnce: (rule) =>
      new Promise((resolve) => {
        armed = { rule, done: resolve };
      }),
    cutAll,
    setSilent: (value) => {
      silent = value;
      for (const pair of pairs) pair.setSilent(value);
    },
    setRefusing: (value) => {
      refusing = value;
    },
    close: async () => {
      cutAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One client and its connection to the server. */
class Pair {
  readonly #client: net.Socket;
  readonly #server: net.Socket;
  readonly #take: (matches: (rule: CutRule) => boolean) => CutRule | undefined;
  readonly #closed: () => void;
  #buffer = Buffer.alloc(0);
  #started = false;
  #messages = 0;
  /** Set once the message to cut after has been passed on: the next bytes of the server are its answer. */
  #swallowing = false;
  #cutTimer: NodeJS.Timeout | undefined;

  constructor(
    client: net.Socket,
    server: net.Socket,
    take: (matches: (rule: CutRule) => boolean) => CutRule | undefined,
    closed: () => void,
  ) {
    this.#client = client;
    this.#server = server;
    this.#take = take;
    this.#closed = closed;
    client.on("data", (bytes: Buffer) => this.#fromClient(bytes));
    server.on("data", (bytes: Buffer) => this.#fromServer(bytes));
    // An error is followed by "close"; what was written before still arrives.
    for (const socket of [client, server]) socket.on("error", () => undefined);
    client.on("close", () => server.end());
    server.on("close", () => {
      client.end();
      closed();
    });
  }

  cut(): void {
    clearTimeout(this.#cutTimer);
    this.#client.destroy();
    this.#server.destroy();
    this.#closed();
  }

  setSilent(silent: boolean): void {
    for (const socket of [this.#client, this.#server]) {
      if (silent) socket.pause();
      else socket.resume();
    }
  }

  #fromServer(bytes: Buffer): void {
    if (!this.#swallowing) {
      this.#client.write(bytes);
      return;
    }
    // ReadyForQuery, the letter Z with length 5 and one byte of status, ends the answer.
    const end = bytes.length - 6;
    if (end >= 0 && bytes[end] === 0x5a && bytes.readInt32BE(end + 1) === 5) this.cut();
  }

  /** Passes on whole messages, one at a time; the first has no letter. */
  #fromClient(bytes: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
    for (;;) {
      const header = this.#started ? 1 : 0;
      if (this.#buffer.length < header + 4) return;
      const length = header + this.#buffer.readInt32BE(header);
      if (this.#buffer.length < length) return;
      const message = this.#buffer.subarray(0, length);
      this.#buffer = this.#buffer.subarray(length);
      if (!this.#pass(message)) return;
    }
  }

  /** False when the connection has been cut. */
  #pass(message: Buffer): boolean {
    if (!this.#started) {
      this.#started = true;
      this.#server.write(message);
      return true;
    }
    this.#messages++;
    const rule = this.#take(({ at }) => {
      // Whole, with its end: the text of BEGIN has READ COMMITTED in it.
      if (at === "commit") return message.subarray(5).equals(Buffer.from("COMMIT\0"));
      return "text" in at ? message.includes(at.text) : this.#messages === at.message;
    });
    if (rule?.when === "before") {
      this.cut();
      return false;
    }
    this.#server.write(message);
    if (rule?.when === "after") {
      this.#swallowing = true;
      // A message that asks for no ReadyForQuery is given time enough to be carried out.
      this.#cutTimer = setTimeout(() => this.cut(), ANSWER_MS);
    }
    return true;
  }
}

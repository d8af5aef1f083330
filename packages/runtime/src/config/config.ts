/** The configuration as everybody uses it, and why there may be none. Reading it is load-config.ts. */

/** The configuration after defaults; paths are absolute. Undefined means: left out, see the schema's note. */
export interface Config {
  readonly mode: "development" | "production";
  readonly dataDir: string;
  readonly database: { readonly url: string | undefined };
  readonly gateway: {
    readonly host: string;
    readonly port: number;
    readonly publicUrl: string;
    readonly audience: string;
    readonly allowedHosts: readonly string[];
    readonly connectionsMax: number;
    readonly bodyBytesMax: number;
    readonly requestTimeoutMs: number;
    readonly callDeadlineMs: number;
    readonly resumeWithinMs: number;
    readonly budgetHeader: "off" | "on";
    readonly addressRequestsPerMinute: number | undefined;
  };
  readonly control: {
    readonly host: string;
    readonly port: number;
    readonly publicUrl: string;
    readonly allowedHosts: readonly string[];
  };
  readonly keys: {
    readonly masterKeyFile: string | undefined;
    readonly masterKey: string | undefined;
    readonly checkpointKeyFile: string;
  };
  readonly checkpoints: { readonly file: string; readonly intervalSeconds: number };
  readonly upstreams: {
    readonly stdioRunner: readonly string[];
    readonly credentialsDir: string | undefined;
    readonly allowedAddresses: readonly string[];
    readonly catalogueIntervalMs: number;
  };
  readonly log: { readonly level: "trace" | "debug" | "info" | "warn" | "error" | "silent" };
  /** What was left to defaults is absent; used to say where a value came from. */
  readonly sources: ReadonlyMap<string, "environment" | "file">;
}

export interface ConfigProblem {
  /** `writ.yaml:3:5`, `WRIT_GATEWAY_PORT`, or the path of a setting that is missing. */
  readonly place: string;
  readonly message: string;
}

/** The configuration cannot be used. The message holds every problem, one a line. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map((problem) => `${problem.place}: ${problem.message}`).join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Starts one plane or both in this process, and for `serve` sets up a first start so that a call can be made at once. */
import { join } from "node:path";
import type { Control } from "@writ/control";
import type { Gateway, ObservedOfTenant } from "@writ/gateway";
import {
  type Config,
  createLogger,
  createSystemRandom,
  DirectoryError,
  type Keyring,
  type Logger,
  listenNear,
  loadMasterKey,
  makeDirectory,
  openKeyring,
  systemClock,
  writePrivateFile,
} from "@writ/runtime";
import { commandsToTry } from "./commands-to-try.ts";
import { beginDatabases, type Databases } from "./open-databases.ts";
import type { Running } from "./process-life.ts";
import type { ReadyReport } from "./ready-report.ts";
import { requireDurable } from "./require-durable.ts";
import { findStarterUpstream } from "./starter-upstream.ts";
import { VERSION } from "./version.ts";

export interface PlanesOptions {
  readonly config: Config;
  readonly planes: readonly ("gateway" | "control")[];
  /** Sets up the starter tenant with agent, upstream and token where there is none. */
  readonly starter: boolean;
  /** Called once, when everything answers; not at all when the start is cut short. */
  readonly ready: (report: ReadyReport) => void;
  /** Cuts the start short, after the step under way; what runs by then is given back to be drained. */
  readonly signal: AbortSignal;
}

/** What both planes are made of before there is a database. */
interface Shared {
  readonly config: Config;
  readonly keyring: Keyring;
  readonly log: Logger;
  readonly notes: string[];
}

interface Context extends Shared {
  readonly databases: Databases;
}

/** Log lines that wait for a start; further ones are written at once. */
const LINES_HELD_MAX = 1_000;

const SECRET_FILES = { "admin-key": "admin-key", "starter-token": "starter-token" } as const;

/** Resolves when the planes answer. Whatever was begun is given back when it fails. */
export async function startPlanes(options: PlanesOptions): Promise<Running> {
  const { config, planes, signal } = options;
  // Log lines wait until what a person came for has been said.
  const held: string[] = [];
  let hold = true;
  const log = createLogger({
    level: config.log.level,
    write(line) {
      if (hold && held.length < LINES_HELD_MAX) held.push(line);
      else process.stderr.write(line);
    },
  });
  const release = (): void => {
    hold = false;
    for (const line of held.splice(0)) process.stderr.write(line);
  };
  const notes: string[] = [];
  const masterKey = await loadMasterKey({ mode: config.mode, ...config.keys });
  if (masterKey.origin.kind === "created") {
    notes.push(`made a master key in ${masterKey.origin.path} (mode 0600); without it the data cannot be read`);
  }
  const shared: Shared = { config, keyring: openKeyring(masterKey.bytes), log, notes };
  const { opened } = await beginDatabases({ url: config.database.url, dataDir: config.dataDir });
  const migrated = opened.then((databases) => prepareDatabases(databases, shared));
  let control: Control | undefined;
  let gateway: Gateway | undefined;
  const close = async (): Promise<void> => {
    await gateway?.close();
    await control?.close();
    const databases = await opened.catch(() => undefined); // what was not opened needs no closing; its failure is known
    await databases?.close();
  };
  try {
    // All that needs no database is done while it starts: the planes' code loads, that of a plane only where it runs.
    const [databases] = await Promise.all([
      migrated,
      planes.includes("control") ? makeControl(shared, migrated).then((made) => (control = made)) : undefined,
      planes.includes("gateway") ? import("@writ/gateway") : undefined,
    ]);
    const context: Context = { ...shared, databases };
    let started: StartedControl | undefined;
    if (control !== undefined) started = await startControl(context, control, options.starter);
    let gatewayUrl: string | undefined;
    if (planes.includes("gateway") && !signal.aborted) {
      const made = await makeGateway(context);
      gateway = made.gateway;
      gatewayUrl = await made.start();
      notes.push(...describeObserved(gateway.observed()));
    }
    if (control !== undefined && gateway !== undefined && started?.starter !== undefined) {
      await pinUntil(control, started.starter, signal);
    }
    const tokenFile = started?.starter === undefined ? undefined : join(config.dataDir, SECRET_FILES["starter-token"]);
    if (!signal.aborted)
      options.ready({
        engine: databases.engine,
        gatewayUrl,
        adminUrl: started?.url,
        tenantId: started?.starter?.tenantId,
        token: started?.starter?.token,
        tokenFile,
        adminKeyFile:
          started === undefined || config.mode === "production"
            ? undefined
            : join(config.dataDir, SECRET_FILES["admin-key"]),
        notes,
        commands: gatewayUrl === undefined || tokenFile === undefined ? [] : commandsToTry(gatewayUrl, tokenFile),
      });
    release();
  } catch (error) {
    // A start that fails gives back what it has taken; the failure goes on to whoever started it.
    release();
    await close();
    throw error;
  }
  return {
    async drain() {
      await gateway?.drain();
      await control?.drain();
    },
    close,
  };
}

/** Notes that name an upstream under observation. */
const OBSERVED_NOTES_MAX = 10;

/** What every start says as long as a policy only observes. */
function describeObserved(observed: readonly ObservedOfTenant[]): readonly string[] {
  const named = observed.slice(0, OBSERVED_NOTES_MAX).map(({ tenant, upstream, untilMs }) => {
    const until = new Date(untilMs).toISOString();
    return `observe mode: what the policy of ${tenant} would deny on ${upstream} is allowed until ${until}; end it with: writ observe stop ${upstream}`;
  });
  const more = observed.length - named.length;
  return more > 0 ? [...named, `observe mode: and so on ${more} more upstreams`] : named;
}

/** The pin waits for the upstream, the only thing in a start that others may hold up: a wish to stop ends the wait. */
async function pinUntil(control: Control, starter: Starter, signal: AbortSignal): Promise<void> {
  try {
    await control.pinStarter(starter, signal);
  } catch (error) {
    // The next start pins what this one did not; any other failure ends the start.
    if (!signal.aborted) throw error;
  }
}

/** Before anything is written: a database that is refused is left as it was. */
async function prepareDatabases(databases: Databases, { config, notes }: Shared): Promise<Databases> {
  if (config.mode === "production") await requireDurable(databases);
  await databases.migrate();
  if (config.mode !== "production" && databases.engine === "pglite") {
    notes.push("the embedded database survives a crash of this process, not a power loss; in production use Postgres");
  }
  return databases;
}

/** Begins while the database is still being prepared, and writes nothing before it is. */
async function makeControl({ config, keyring, log }: Shared, prepared: Promise<Databases>): Promise<Control> {
  const { createControl } = await import("@writ/control");
  return createControl({
    db: prepared.then((databases) => databases.control),
    keyring,
    config,
    clock: systemClock,
    random: createSystemRandom(),
    log,
  });
}

type Starter = NonNullable<Awaited<ReturnType<Control["bootstrap"]>>["starter"]>;

interface StartedControl {
  readonly url: string;
  readonly starter: Starter | undefined;
}

async function startControl(context: Context, control: Control, withStarter: boolean): Promise<StartedControl> {
  const { config, notes } = context;
  const upstream = withStarter ? findStarterUpstream() : undefined;
  if (withStarter && upstream === undefined)
    notes.push("the reference MCP server is not installed, so there is no starter upstream");
  const { adminKey, starter } = await control.bootstrap({
    ...(config.mode === "production"
      ? {}
      : {
          saveSecret: (name, text) =>
            writePrivateFile(join(config.dataDir, SECRET_FILES[name]), `${text}\n`, "replace"),
        }),
    ...(upstream === undefined ? {} : { starter: { upstream } }),
  });
  if (config.mode === "production" && adminKey !== undefined) {
    notes.push(`the first admin key, shown once: ${adminKey}`);
  }
  const { port, wanted } = await control.listen();
  const url = `http://${config.control.host}:${port}`;
  if (wanted !== 0 && port !== wanted) notes.push(`port ${wanted} is taken, so the control plane listens on ${port}`);
  return { url, starter };
}

async function makeGateway(
  context: Context,
): Promise<{ readonly gateway: Gateway; readonly start: () => Promise<string> }> {
  const { config, databases, keyring, log, notes } = context;
  const { createGateway } = await import("@writ/gateway");
  let publicUrl = config.gateway.publicUrl;
  const dangerous: string[] = [];
  if (config.mode === "development" && config.upstreams.stdioRunner.length === 0) {
    dangerous.push("stdio_upstreams_run_as_this_user");
    notes.push(
      "stdio upstreams run as this user and could read its files; production starts them through upstreams.stdioRunner only",
    );
  }
  if (config.mode === "development" && !config.sources.has("upstreams.allowedAddresses")) {
    dangerous.push("upstreams_on_loopback");
    notes.push("upstreams may be servers on this machine; production reaches only those in upstreams.allowedAddresses");
  }
  if (databases.engine === "pglite") dangerous.push("embedded_no_fsync");
  const gateway = createGateway({
    db: databases.gateway,
    journalDb: databases.journal,
    keyring,
    audience: config.gateway.audience,
    version: VERSION,
    dangerous,
    clock: systemClock,
    random: createSystemRandom(),
    log,
    callDeadlineMs: config.gateway.callDeadlineMs,
    resumeWithinMs: config.gateway.resumeWithinMs,
    tellsBudgets: config.gateway.budgetHeader === "on",
    addressRequestsPerMinute: config.gateway.addressRequestsPerMinute,
    catalogueIntervalMs: config.upstreams.catalogueIntervalMs,
    stdioRunner: config.upstreams.stdioRunner,
    environmentFile: `/proc/${process.pid}/environ`,
    allowedAddresses: config.upstreams.allowedAddresses,
    credentialsDir: config.upstreams.credentialsDir,
    childEnvironment: { path: process.env["PATH"] ?? "", home: process.env["HOME"] ?? "" },
    mode: config.mode,
    host: config.gateway.host,
    allowedHosts: config.gateway.allowedHosts,
    allowedOrigins: [],
    publicUrl: () => publicUrl,
    limits: {
      bodyBytesMax: config.gateway.bodyBytesMax,
      connectionsMax: config.gateway.connectionsMax,
      requestTimeoutMs: config.gateway.requestTimeoutMs,
    },
  });
  return {
    gateway,
    async start() {
      const { credentialsDir } = config.upstreams;
      // One that somebody names is theirs to make.
      if (credentialsDir !== undefined && !config.sources.has("upstreams.credentialsDir")) {
        await makeDirectory(credentialsDir, { what: "upstreams.credentialsDir", mode: 0o700 }).catch(
          (error: unknown) => {
            // Nobody has asked for it: what there cannot be is a credential for an upstream.
            if (!(error instanceof DirectoryError)) throw error;
            notes.push(`upstreams can have no credentials: ${error.message}`);
          },
        );
      }
      await gateway.start();
      const { port, wanted } = await listenNear({
        plane: "gateway",
        mode: config.mode,
        port: config.gateway.port,
        listen: (wantedPort) => gateway.listen(wantedPort),
      });
      const url = `http://${config.gateway.host}:${port}`;
      if (port !== wanted) {
        if (wanted !== 0) notes.push(`port ${wanted} is taken, so the gateway listens on ${port}`);
        publicUrl = url;
      }
      return url;
    },
  };
}

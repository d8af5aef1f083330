/**
 * The configuration file as a schema: names, shapes, defaults and one sentence for each setting. Reading it is
 * load-config.ts; the reference page is generated from it by describe-config.ts.
 */
/** What a setting says besides its shape. Unknown to JSON Schema, which ignores such members. */
export interface SettingNotes {
  readonly description: string;
  /** How the value comes about when the setting is left out, where it is not a constant. */
  readonly defaultNote?: string;
  /** Production refuses to start without it. */
  readonly productionRequires?: boolean;
  /** Never in the file: only in the environment. Its value is never printed. */
  readonly environmentOnly?: boolean;
}

interface TextSchema extends SettingNotes {
  readonly type: "string";
  readonly minLength: 1;
  readonly default?: string;
}

interface ChoiceSchema extends SettingNotes {
  readonly enum: readonly string[];
  readonly default: string;
}

interface CountSchema extends SettingNotes {
  readonly type: "integer";
  readonly minimum: number;
  readonly maximum: number;
  readonly default?: number;
}

interface TextsSchema extends SettingNotes {
  readonly type: "array";
  readonly items: { readonly type: "string"; readonly minLength: 1 };
  readonly maxItems: number;
  readonly default?: undefined;
}

export type SettingSchema = TextSchema | ChoiceSchema | CountSchema | TextsSchema;

/** Every member may be left out. */
export interface GroupSchema {
  readonly type: "object";
  readonly additionalProperties: false;
  readonly description: string;
  readonly properties: Readonly<Record<string, GroupSchema | SettingSchema>>;
}

const group = (description: string, properties: GroupSchema["properties"]): GroupSchema => ({
  type: "object",
  additionalProperties: false,
  description,
  properties,
});
const text = (notes: SettingNotes & { readonly default?: string }): TextSchema => ({
  type: "string",
  minLength: 1,
  ...notes,
});
const choice = (values: readonly string[], notes: SettingNotes & { readonly default: string }): ChoiceSchema => ({
  enum: values,
  ...notes,
});
const count = (notes: Omit<CountSchema, "type">): CountSchema => ({ type: "integer", ...notes });
const texts = (notes: SettingNotes): TextsSchema => ({
  type: "array",
  items: { type: "string", minLength: 1 },
  maxItems: 64,
  ...notes,
});

export const CONFIG_SCHEMA = group("Everything that Writ is told at its start.", {
  mode: choice(["development", "production"], {
    default: "development",
    description:
      "`production` never writes secrets, takes no other port than the one named, and does not start while a security setting is left out.",
  }),
  dataDir: text({
    default: ".writ",
    description: "Where the embedded database and, in development, the master key live.",
  }),
  database: group("The database, in the path of every call.", {
    url: text({
      description: "`postgres://…`. Production wants one that is encrypted unless the server is on this machine.",
      defaultNote: "the embedded database in `dataDir`/db",
      productionRequires: true,
    }),
  }),
  gateway: group("The listener of the data plane, for agents.", {
    host: text({ default: "127.0.0.1", description: "The address to listen on." }),
    port: count({
      default: 8484,
      minimum: 0,
      maximum: 65535,
      description: "The port to listen on; 0 takes any. In development a taken port gives way to the next free one.",
    }),
    publicUrl: text({
      description: "How agents reach the gateway. Production wants https unless it is on this machine.",
      defaultNote: "`http://host:port`",
      productionRequires: true,
    }),
    audience: text({
      description: "What the `aud` caveat of a token must name.",
      defaultNote: "`gateway.publicUrl`",
    }),
    allowedHosts: texts({
      description: "Host headers that are served; a guard against DNS rebinding.",
      defaultNote: "the hosts of `publicUrl` and of the address listened on",
      productionRequires: true,
    }),
    connectionsMax: count({ default: 2_000, minimum: 1, maximum: 100_000, description: "Open connections at once." }),
    bodyBytesMax: count({
      default: 4_194_304,
      minimum: 1_024,
      maximum: 67_108_864,
      description: "The largest request body.",
    }),
    requestTimeoutMs: count({
      default: 15_000,
      minimum: 100,
      maximum: 600_000,
      description: "How long a request may take to arrive whole.",
    }),
    callDeadlineMs: count({
      default: 120_000,
      minimum: 100,
      maximum: 3_600_000,
      description: "How long one call may last, its stream included.",
    }),
    resumeWithinMs: count({
      default: 30_000,
      minimum: 0,
      maximum: 600_000,
      description:
        "How long an agent may be away from the stream of an MCP call before the call is cut, and how long it may still fetch a stream that is over. With 0, whoever breaks a stream off has cut the call.",
    }),
    budgetHeader: choice(["off", "on"], {
      default: "off",
      description:
        "Whether answers to charged calls say in `Writ-Budget` what is left of the token's and the agent's own budgets. It costs each batch of calls one more statement in the database.",
    }),
    addressRequestsPerMinute: count({
      minimum: 1,
      maximum: 1_000_000,
      description:
        "How many requests are answered to one address (of IPv6, one /64) in a minute, before anything of them is read; all gateways together, each its part. Behind a proxy every agent has the proxy's address, so limit addresses there.",
      defaultNote: "any number",
    }),
  }),
  control: group("The listener of the control plane, for administrators.", {
    host: text({ default: "127.0.0.1", description: "The address to listen on." }),
    port: count({
      default: 8485,
      minimum: 0,
      maximum: 65535,
      description: "The port to listen on; 0 takes any. In development a taken port gives way to the next free one.",
    }),
    publicUrl: text({
      description: "How administrators reach the control plane. Production wants https unless it is on this machine.",
      defaultNote: "`http://host:port`",
      productionRequires: true,
    }),
    allowedHosts: texts({
      description: "Host headers that are served; a guard against DNS rebinding.",
      defaultNote: "the hosts of `publicUrl` and of the address listened on",
      productionRequires: true,
    }),
  }),
  keys: group("Keys. The master key wraps all others and is in the memory of both planes.", {
    masterKeyFile: text({
      description:
        "A file with the master key, 32 random bytes in base64, not readable by others. Production wants this or `WRIT_KEYS_MASTER_KEY`.",
      defaultNote: "`dataDir`/master.key, made on the first start in development",
    }),
    masterKey: text({
      description: "The master key itself, 32 random bytes in base64.",
      environmentOnly: true,
    }),
    checkpointKeyFile: text({
      description:
        "The Ed25519 key that signs checkpoints (PKCS #8, PEM), not readable by others. Only the control plane reads it.",
      defaultNote: "`dataDir`/checkpoint.key, made on the first start in development",
      productionRequires: true,
    }),
  }),
  checkpoints: group("Signed checkpoints of the log.", {
    file: text({
      description: "Where checkpoints are appended; keep it where whoever can edit the database cannot.",
      defaultNote: "`dataDir` with the suffix `-checkpoints`, /checkpoints.txt",
      productionRequires: true,
    }),
    intervalSeconds: count({
      default: 10,
      minimum: 1,
      maximum: 3_600,
      description: "Longest time between a change of the log and its checkpoint.",
    }),
  }),
  upstreams: group("How upstreams are run and reached.", {
    stdioRunner: texts({
      description:
        "The command, with its arguments, that starts stdio upstreams as somebody else (another user, a container); the upstream's own command is appended. Production starts no stdio upstream without it.",
      defaultNote: "none: the upstream runs as this user, which development says at each start",
    }),
    credentialsDir: text({
      description:
        "A directory with one file for each credential that upstreams are sent by HTTP: one line, not accessible to everybody. A file that changes is read again within a second.",
      defaultNote:
        "in development `dataDir`/credentials, made at the start with mode 0700; else none: no upstream can have any",
    }),
    allowedAddresses: texts({
      description:
        "Addresses that http upstreams may have though they are not public: `10.1.2.0/24`, `10.1.2.3`, `fd00::/8`, or a host (`mcp.corp.example`, `*.corp.example` for all below it), which speaks for private addresses and this machine's. For the whole instance, so as narrow as can be. Every other such address is refused.",
      defaultNote: "none; in development `127.0.0.0/8` and `::1`, which each start says",
    }),
    catalogueIntervalMs: count({
      default: 300_000,
      minimum: 1_000,
      maximum: 86_400_000,
      description:
        "How long after an upstream's catalogue was read each gateway reads it again, and so how long a drifted tool may go unnoticed. Looked at every 10 s.",
    }),
  }),
  log: group("Logs for operators.", {
    level: choice(["trace", "debug", "info", "warn", "error", "silent"], {
      default: "info",
      description: "The least severe line that is written.",
    }),
  }),
});

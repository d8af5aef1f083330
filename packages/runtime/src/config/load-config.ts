/**
 * Reads the configuration: environment over file over defaults, each setting checked by the schema. Every problem is
 * collected and said with its place. What production demands is in check-production.ts; no key material is read here.
 */
import { dirname, isAbsolute, join, resolve } from "node:path";
import { nearestName } from "@writ/contract";
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { isAddressRule, LOOPBACK_RULES } from "../network/address-rules.ts";
import { checkProduction } from "./check-production.ts";
import { type Config, ConfigError, type ConfigProblem } from "./config.ts";
import { listGroups, listSettings, type Setting } from "./settings.ts";

export interface LoadConfigOptions {
  /** The file's text and name; undefined when there is no file. */
  readonly file: { readonly path: string; readonly text: string } | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Relative paths start here when they come from the environment or a default; those of the file start at the file. */
  readonly directory: string;
}

/** The largest configuration file that is read. */
export const CONFIG_BYTES_MAX = 262_144;

/** Throws `ConfigError`. */
export function loadConfig(options: LoadConfigOptions): Config {
  const problems: ConfigProblem[] = [];
  const values = new Map<string, unknown>();
  const sources = new Map<string, "environment" | "file">();
  const settings = listSettings();
  if (options.file !== undefined) readFile(options.file, settings, values, sources, problems);
  readEnvironment(options.environment, settings, values, sources, problems);
  for (const setting of settings) {
    if (!values.has(setting.path) && setting.schema.default !== undefined)
      values.set(setting.path, setting.schema.default);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const config = resolveConfig(values, sources, options);
  const late = [
    ...checkUrls(config),
    ...checkAddresses(config),
    ...(config.mode === "production" ? checkProduction(config, settings) : []),
  ];
  if (late.length > 0) throw new ConfigError(late);
  return config;
}

function readFile(
  file: { readonly path: string; readonly text: string },
  settings: readonly Setting[],
  values: Map<string, unknown>,
  sources: Map<string, "environment" | "file">,
  problems: ConfigProblem[],
): void {
  if (Buffer.byteLength(file.text) > CONFIG_BYTES_MAX) {
    problems.push({ place: file.path, message: `is larger than ${CONFIG_BYTES_MAX} bytes` });
    return;
  }
  const lines = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: lines, uniqueKeys: true, version: "1.2", schema: "core" });
  const placeOf = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file.path}:${line}:${col}`;
  };
  for (const error of [...document.errors, ...document.warnings]) {
    problems.push({ place: placeOf(error.pos[0]), message: error.message.split("\n")[0] ?? "not YAML" });
  }
  if (problems.length > 0 || document.contents === null) return;
  const byPath = new Map(settings.map((setting) => [setting.path, setting]));
  const groups = new Set(listGroups().map((group) => group.path));

  const walk = (node: unknown, prefix: string, place: string): void => {
    if (!isMap(node)) {
      problems.push({
        place,
        message: prefix === "" ? "must be a mapping of settings" : `${prefix} must be a mapping`,
      });
      return;
    }
    for (const pair of node.items) {
      if (!isScalar(pair.key) || typeof pair.key.value !== "string") {
        problems.push({ place, message: "a setting's name must be plain text" });
        continue;
      }
      const path = prefix === "" ? pair.key.value : `${prefix}.${pair.key.value}`;
      const keyPlace = placeOf(pair.key.range?.[0] ?? 0);
      const setting = byPath.get(path);
      if (setting !== undefined) readValue(setting, pair.value, keyPlace);
      else if (groups.has(path)) {
        // An empty group (`gateway:`) says nothing, which is not a mistake.
        if (!(isScalar(pair.value) && pair.value.value === null)) walk(pair.value, path, keyPlace);
      } else {
        const near = nearestName(path, [...byPath.keys(), ...groups]);
        problems.push({
          place: keyPlace,
          message: `unknown setting ${path}${near === undefined ? "" : `; did you mean ${near}?`}`,
        });
      }
    }
  };
  const readValue = (setting: Setting, node: unknown, place: string): void => {
    if (setting.schema.environmentOnly === true) {
      problems.push({ place, message: `${setting.path} is a secret; give it as ${setting.environment} only` });
      return;
    }
    if (isAlias(node)) {
      problems.push({ place, message: `${setting.path} must be written out, not an alias` });
      return;
    }
    const value = isScalar(node) ? node.value : isSeq(node) ? (node.toJSON() as unknown) : isMap(node) ? {} : node;
    const message = checkValue(setting, value);
    if (message !== undefined) problems.push({ place, message });
    else {
      values.set(setting.path, value);
      sources.set(setting.path, "file");
    }
  };
  walk(document.contents, "", `${file.path}:1:1`);
}

/** Variables that are ours and no settings: read by the command line. */
const OTHER_VARIABLES = new Set(["WRIT_CONFIG", "WRIT_ADMIN_URL", "WRIT_ADMIN_KEY", "WRIT_TENANT", "WRIT_TOKEN"]);

function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  settings: readonly Setting[],
  values: Map<string, unknown>,
  sources: Map<string, "environment" | "file">,
  problems: ConfigProblem[],
): void {
  const byName = new Map(settings.map((setting) => [setting.environment, setting]));
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith("WRIT_") || text === undefined || OTHER_VARIABLES.has(name)) continue;
    const setting = byName.get(name);
    if (setting === undefined) {
      // Container platforms put variables of their own under a service's name (WRIT_PORT, WRIT_SERVICE_HOST), so
      // only what looks like a slip of the pen is refused.
      const near = nearestName(name, [...byName.keys()]);
      if (near !== undefined && !/^WRIT_(PORT|SERVICE)(_|$)/.test(name)) {
        problems.push({ place: name, message: `unknown setting; did you mean ${near}?` });
      }
      continue;
    }
    const value = parseText(setting, text);
    const message = checkValue(setting, value);
    if (message !== undefined) problems.push({ place: name, message });
    else {
      values.set(setting.path, value);
      sources.set(setting.path, "environment");
    }
  }
}

function parseText({ schema }: Setting, text: string): unknown {
  if ("enum" in schema) return text;
  switch (schema.type) {
    case "integer":
      return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
    case "array":
      return text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "");
    default:
      return text;
  }
}

/** What is wrong with a value; as JSON Schema judges it, without the third of a second that loading a validator takes. */
export function checkValue({ path, schema }: Setting, value: unknown): string | undefined {
  if ("enum" in schema) {
    if (schema.enum.some((one) => one === value)) return undefined;
    return `${path} must be one of ${schema.enum.join(", ")}`;
  }
  switch (schema.type) {
    case "integer": {
      const { minimum, maximum } = schema;
      if (Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum) return undefined;
      return `${path} must be a whole number from ${minimum} to ${maximum}`;
    }
    case "array":
      if (Array.isArray(value) && value.length <= schema.maxItems && value.every(isText)) return undefined;
      return `${path} must be a list of at most ${schema.maxItems} texts`;
    case "string":
      return isText(value) ? undefined : `${path} must be a text that is not empty`;
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function resolveConfig(
  values: ReadonlyMap<string, unknown>,
  sources: ReadonlyMap<string, "environment" | "file">,
  options: LoadConfigOptions,
): Config {
  // Every value below passed its setting's schema, or is that schema's default, so its type is known.
  const get = <T>(path: string): T => values.get(path) as T;
  const resolvePath = (path: string): string | undefined => {
    const value = get<string | undefined>(path);
    if (value === undefined || isAbsolute(value)) return value;
    const base = sources.get(path) === "file" && options.file ? dirname(options.file.path) : options.directory;
    return resolve(options.directory, base, value);
  };
  const mode = get<Config["mode"]>("mode");
  const dataDir = resolvePath("dataDir") ?? options.directory;
  const listener = (plane: "gateway" | "control") => {
    const host = get<string>(`${plane}.host`);
    const port = get<number>(`${plane}.port`);
    const publicUrl = get<string | undefined>(`${plane}.publicUrl`) ?? `http://${urlHost(host)}:${port}`;
    return { host, port, publicUrl: publicUrl.replace(/\/+$/, "") };
  };
  const gateway = listener("gateway");
  const control = listener("control");
  const masterKeyFile = resolvePath("keys.masterKeyFile");
  const masterKey = get<string | undefined>("keys.masterKey");
  return {
    mode,
    dataDir,
    database: { url: get("database.url") },
    gateway: {
      ...gateway,
      audience: get<string | undefined>("gateway.audience") ?? gateway.publicUrl,
      allowedHosts: get<readonly string[] | undefined>("gateway.allowedHosts") ?? defaultHosts(gateway),
      connectionsMax: get("gateway.connectionsMax"),
      bodyBytesMax: get("gateway.bodyBytesMax"),
      requestTimeoutMs: get("gateway.requestTimeoutMs"),
      callDeadlineMs: get("gateway.callDeadlineMs"),
      resumeWithinMs: get("gateway.resumeWithinMs"),
      budgetHeader: get("gateway.budgetHeader"),
      addressRequestsPerMinute: get("gateway.addressRequestsPerMinute"),
    },
    control: {
      ...control,
      allowedHosts: get<readonly string[] | undefined>("control.allowedHosts") ?? defaultHosts(control),
    },
    keys: {
      masterKeyFile:
        masterKeyFile ?? (mode === "development" && masterKey === undefined ? `${dataDir}/master.key` : undefined),
      masterKey,
      checkpointKeyFile: resolvePath("keys.checkpointKeyFile") ?? `${dataDir}/checkpoint.key`,
    },
    checkpoints: {
      file: resolvePath("checkpoints.file") ?? `${dataDir}-checkpoints/checkpoints.txt`,
      intervalSeconds: get("checkpoints.intervalSeconds"),
    },
    upstreams: {
      stdioRunner: get<readonly string[] | undefined>("upstreams.stdioRunner") ?? [],
      credentialsDir:
        resolvePath("upstreams.credentialsDir") ?? (mode === "development" ? join(dataDir, "credentials") : undefined),
      allowedAddresses:
        get<readonly string[] | undefined>("upstreams.allowedAddresses") ??
        (mode === "development" ? LOOPBACK_RULES : []),
      catalogueIntervalMs: get("upstreams.catalogueIntervalMs"),
    },
    log: { level: get("log.level") },
    sources,
  };
}

/** Names of hosts, without ports: a port says nothing about who is asked for, and the next free one may be taken. */
function defaultHosts(listener: { readonly host: string; readonly publicUrl: string }): readonly string[] {
  const hosts = new Set(["localhost", "127.0.0.1", "[::1]"]);
  if (listener.host !== "0.0.0.0" && listener.host !== "::") hosts.add(urlHost(listener.host));
  if (URL.canParse(listener.publicUrl)) hosts.add(new URL(listener.publicUrl).hostname);
  return [...hosts];
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function checkAddresses({ upstreams }: Config): readonly ConfigProblem[] {
  return upstreams.allowedAddresses
    .filter((text) => !isAddressRule(text))
    .map((text) => ({
      place: "upstreams.allowedAddresses",
      message: `${text} is neither address/bits with zeros after the prefix, nor an address, nor a host in lower case`,
    }));
}

function checkUrls(config: Config): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [path, value] of [
    ["gateway.publicUrl", config.gateway.publicUrl],
    ["control.publicUrl", config.control.publicUrl],
  ] as const) {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.username !== "") {
      problems.push({ place: path, message: "must be an http or https URL without credentials and query" });
    }
  }
  if (config.database.url !== undefined && !/^postgres(ql)?:\/\//.test(config.database.url)) {
    problems.push({ place: "database.url", message: "must begin with postgres://" });
  }
  return problems;
}

/**
 * Modules and data from files and folders. A data file of a folder is put below the names of the folders on the way to
 * it: `roles/admins/data.json` under `roles` is `data.admins`. Files given by name are put at the root, or below the path
 * that stands before them: `acl.groups:groups.json`. Two files that both say what a document is are refused.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { parseJson } from "../json.ts";
import type { ModuleText } from "../program.ts";
import { isObject, memberOf, ObjectBuilder, sortedEntries, type Value } from "../value.ts";
import { readYaml } from "../yaml.ts";
import { CommandError } from "./command-context.ts";

export interface Loaded {
  readonly modules: readonly ModuleText[];
  readonly data: Value;
}

const FILES_MAX = 10_000;
const FILE_BYTES_MAX = 100_000_000;

export async function loadFiles(paths: readonly string[], directory: string, exitCode: number): Promise<Loaded> {
  const modules: ModuleText[] = [];
  let data: Value = {};
  for (const path of paths) {
    const { prefix, target } = splitPrefix(path);
    for (const file of await listFiles(resolve(directory, target), exitCode)) {
      const name = relative(directory, file.path);
      if (file.path.endsWith(".rego")) {
        modules.push({ file: name, text: await readText(file.path, exitCode) });
        continue;
      }
      const value = await readValue(file.path, exitCode);
      data = merge(data, wrap([...prefix, ...file.below], value), [], name, exitCode);
    }
  }
  return { modules, data };
}

/** The modules at the paths, without data. */
export async function loadModules(
  paths: readonly string[],
  directory: string,
  exitCode: number,
): Promise<readonly ModuleText[]> {
  const modules: ModuleText[] = [];
  for (const path of await listModules(paths, directory, exitCode)) {
    modules.push({ file: relative(directory, path), text: await readText(path, exitCode) });
  }
  return modules;
}

/** The Rego files at the paths, in order. */
export async function listModules(paths: readonly string[], directory: string, exitCode: number): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const files = await listFiles(resolve(directory, path), exitCode);
    found.push(...files.map((file) => file.path).filter((each) => each.endsWith(".rego")));
  }
  return found;
}

/** A JSON or YAML document. */
export async function readValue(path: string, exitCode: number): Promise<Value> {
  const text = await readText(path, exitCode);
  return parseDocument(path, text, exitCode);
}

export function parseDocument(name: string, text: string, exitCode: number): Value {
  const isYaml = /\.ya?ml$/.test(name);
  const read = isYaml ? readYaml(text) : parseJson(text);
  if (read.kind === "fault")
    throw new CommandError(exitCode, `${name} is no ${isYaml ? "YAML" : "JSON"}: ${read.message}.`);
  return read.value;
}

export async function readText(path: string, exitCode: number): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX) throw new CommandError(exitCode, `${path} is larger than ${FILE_BYTES_MAX} bytes.`);
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    throw unreadable(path, cause, exitCode);
  }
}

function unreadable(path: string, cause: unknown, exitCode: number): CommandError {
  const code = (cause as NodeJS.ErrnoException).code; // what node:fs throws
  const reason = code === "ENOENT" ? "there is no such file or folder" : (code ?? String(cause));
  return new CommandError(exitCode, `${path} cannot be read: ${reason}. Check the path.`);
}

function splitPrefix(path: string): { readonly prefix: readonly string[]; readonly target: string } {
  const match = /^([A-Za-z_][\w.]*):(.+)$/.exec(path);
  // On Windows one letter before a colon is a drive.
  if (match === null || (sep === "\\" && match[1]?.length === 1)) return { prefix: [], target: path };
  const names = (match[1] ?? "").split(".");
  return { prefix: names[0] === "data" ? names.slice(1) : names, target: match[2] ?? "" };
}

interface Found {
  readonly path: string;
  /** Names of the folders between what was given and the file. */
  readonly below: readonly string[];
}

async function listFiles(path: string, exitCode: number): Promise<Found[]> {
  const found: Found[] = [];
  const visit = async (at: string, below: readonly string[]): Promise<void> => {
    const entries = await readdir(at, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      if (entry.isDirectory()) await visit(join(at, entry.name), [...below, entry.name]);
      else if (/\.(?:rego|json|ya?ml)$/.test(entry.name)) found.push({ path: join(at, entry.name), below });
      if (found.length > FILES_MAX) throw new CommandError(exitCode, `${path} has more than ${FILES_MAX} files.`);
    }
  };
  try {
    if ((await stat(path)).isDirectory()) await visit(path, []);
    else found.push({ path, below: [] });
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    throw unreadable(path, cause, exitCode);
  }
  return found;
}

function wrap(path: readonly string[], value: Value): Value {
  return path.reduceRight<Value>((inner, name) => ({ [name]: inner }), value);
}

function merge(one: Value, other: Value, at: readonly string[], file: string, exitCode: number): Value {
  if (!isObject(one) || !isObject(other)) {
    const place = ["data", ...at].join(".");
    const reason = at.length === 0 ? "what a file says under data must be an object" : "another file says so too";
    throw new CommandError(exitCode, `${file} cannot say what ${place} is: ${reason}.`);
  }
  const builder = new ObjectBuilder();
  for (const [key, value] of sortedEntries(one)) builder.set(key, value);
  for (const [key, value] of sortedEntries(other)) {
    const known = memberOf(one, key);
    builder.set(key, known === undefined ? value : merge(known, value, [...at, String(key)], file, exitCode));
  }
  return builder.finish();
}

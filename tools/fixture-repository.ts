/**
 * Lays a fixture out as a small repository of its own in the temporary directory: with our configuration of the
 * checkers, with its packages linked by name, and outside the folders that the normal runs leave out.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const ROOT = join(import.meta.dirname, "..");

/** What the checkers read besides sources. */
const CONFIGURATION = ["biome.json", "tsconfig.json", "knip.json", ".gitignore", "tools/biome"];

export interface FixtureRepository {
  readonly root: string;
  remove(): Promise<void>;
}

/** Copies `tools/fixtures/<name>`; the caller removes it. */
export async function layOutFixture(name: string): Promise<FixtureRepository> {
  // macOS links its temporary directory, and a checker that compares paths would see two.
  const root = await realpath(await mkdtemp(join(tmpdir(), `writ-fixture-${name}-`)));
  for (const file of CONFIGURATION) await cp(join(ROOT, file), join(root, file), { recursive: true });
  await cp(join(import.meta.dirname, "fixtures", name), root, { recursive: true });
  await mkdir(join(root, "node_modules/@writ"), { recursive: true });
  await symlink(join(ROOT, "node_modules/@types"), join(root, "node_modules/@types"));
  const packages = await readdir(join(root, "packages")).catch(() => []); // a fixture without packages
  for (const folder of packages)
    await symlink(join(root, "packages", folder), join(root, "node_modules/@writ", folder));
  await promisify(execFile)("git", ["init", "--quiet"], { cwd: root });
  return { root, remove: () => rm(root, { recursive: true, force: true }) };
}

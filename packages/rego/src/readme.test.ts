import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

interface Block {
  readonly language: string;
  readonly title: string | undefined;
  readonly text: string;
}

const blocks = [...readme.matchAll(/^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$/gms)].map(
  ([, language = "", title, text = ""]): Block => ({ language, title, text }),
);

let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "rego-readme-"));
  await symlink(join(ROOT, "node_modules"), join(directory, "node_modules"));
  await symlink(join(import.meta.dirname, "../bin/rego.mjs"), join(directory, "rego"));
  await writeFile(join(directory, "package.json"), '{"type": "module"}');
  for (const { title, text } of blocks) if (title !== undefined) await writeFile(join(directory, title), text);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** What a program prints. */
function run(program: string, args: readonly string[]): Promise<string> {
  const path = [directory, dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
  return new Promise((resolve) => {
    const options = { cwd: directory, env: { ...process.env, PATH: path, NO_COLOR: "1" } };
    execFile(program, [...args], options, (_, out, note) => resolve(out + note));
  });
}

/** Each command of a block with what stands below it. */
function commandsOf(text: string): [string, string][] {
  return text.split(/^\$ /m).flatMap((part): [string, string][] => {
    if (part === "") return [];
    const lines = part.split("\n");
    let length = 1;
    while (lines[length]?.startsWith("> ") === true) length += 1;
    const command = lines.slice(0, length).map((line, index) => (index === 0 ? line : line.slice(2)));
    return [[command.join("\n"), lines.slice(length).join("\n")]];
  });
}

test("every example is of a kind that is run here", () => {
  expect(blocks.length).toBeGreaterThan(10);
  expect(readme.match(/^```/gm)?.length).toBe(blocks.length * 2);
  for (const { language, title } of blocks) expect(title !== undefined || /^(?:console|ts)$/.test(language)).toBe(true);
});

test.each(blocks.filter(({ language }) => language === "console").flatMap(({ text }) => commandsOf(text)))(
  "prints what the README says: %s",
  async (command, expected) => {
    expect(await run("sh", ["-c", command])).toBe(expected);
  },
);

test.each(blocks.filter(({ language }) => language === "rego"))("$title is formatted", async ({ title, text }) => {
  expect(await run("sh", ["-c", `rego fmt ${title}`])).toBe(text);
});

test.each(blocks.filter(({ language }) => language === "ts"))(
  "the program of the README prints what it says",
  async ({ text }) => {
    await writeFile(join(directory, "example.ts"), text);
    const expected = [...text.matchAll(/\/\/ → (.*)$/gm)].map(([, line]) => `${line}\n`);
    expect(expected.length).toBeGreaterThan(0);
    expect(await run(process.execPath, ["example.ts"])).toBe(expected.join(""));
  },
);

/** `rego fmt`: formats modules. */
import { writeFile } from "node:fs/promises";
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { format } from "../format/format.ts";
import type { CommandContext } from "./command-context.ts";
import { diffLines } from "./diff-lines.ts";
import { listModules, readText } from "./load-files.ts";
import { writeProblems } from "./print.ts";

/** A module that cannot be read, or one that --fail asked about. */
const EXIT_ERROR = 2;

export const FMT_HELP = `rego fmt [options] [path...]

Formats modules and prints them; without a path, what comes on standard input.

  -w, --write                  writes the files instead
  -l, --list                   prints only the names of files that are not formatted
  -d, --diff                   prints only what would change
      --fail                   exits with 2 when a file is not formatted
`;

export async function runFmt(argv: readonly string[], context: CommandContext): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      write: { type: "boolean", short: "w", default: false },
      list: { type: "boolean", short: "l", default: false },
      diff: { type: "boolean", short: "d", default: false },
      fail: { type: "boolean", default: false },
    },
  });
  if (positionals.length === 0) {
    const result = format("standard input", await context.readInput());
    if (result.kind === "text") context.out(result.text);
    else context.note(writeProblems(result.problems));
    return result.kind === "text" ? 0 : EXIT_ERROR;
  }
  let exitCode = 0;
  for (const path of await listModules(positionals, context.directory, EXIT_ERROR)) {
    const name = relative(context.directory, path);
    const text = await readText(path, EXIT_ERROR);
    const result = format(name, text);
    if (result.kind === "problems") {
      context.note(writeProblems(result.problems));
      exitCode = EXIT_ERROR;
      continue;
    }
    const isChanged = result.text !== text;
    if (isChanged && values.fail) exitCode = EXIT_ERROR;
    if (isChanged && values.list) context.out(`${name}\n`);
    if (isChanged && values.diff) context.out(diffLines(name, text, result.text));
    if (isChanged && values.write) await writeFile(path, result.text);
    if (!values.list && !values.diff && !values.write) context.out(result.text);
  }
  return exitCode;
}

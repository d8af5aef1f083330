/** `rego fmt`: formats modules. */
import { writeFile } from "node:fs/promises";
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { format } from "../format/format.ts";
import { type CommandContext, REFUSED_EVERYWHERE, refuseOptions } from "./command-context.ts";
import { diffLines } from "./diff-lines.ts";
import { listModules, readText } from "./load-files.ts";
import { writeProblems } from "./print.ts";

/** As OPA has it: 1 when there is nothing to format, 2 for a file that is no module or that --fail asked about. */
const EXIT_UNREADABLE = 1;
const EXIT_ERROR = 2;

export const FMT_HELP = `rego fmt [options] [path...]

Formats modules and prints them; without a path, what comes on standard input.

  -w, --write                  writes the files instead
  -l, --list                   prints only the names of files that are not formatted
  -d, --diff                   prints only what would change; --list goes before it, and both go before --write
      --fail                   exits with 2 when a file is not formatted, and does not format it
`;

const REFUSED = {
  ...REFUSED_EVERYWHERE,
  "--check-result": "what is formatted is always a module again",
  "--drop-v0-imports": "imports stay as they are",
  "--rego-v1": "modules are Rego v1",
};

export async function runFmt(argv: readonly string[], context: CommandContext): Promise<number> {
  refuseOptions(argv, REFUSED, EXIT_UNREADABLE);
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
    return result.kind === "text" ? 0 : EXIT_UNREADABLE;
  }
  let exitCode = 0;
  for (const path of await listModules(positionals, context.directory, EXIT_UNREADABLE)) {
    const name = relative(context.directory, path);
    const text = await readText(path, EXIT_ERROR);
    const result = format(name, text);
    if (result.kind === "problems") {
      context.note(writeProblems(result.problems));
      exitCode = EXIT_ERROR;
      continue;
    }
    const isChanged = result.text !== text;
    const refused = isChanged && values.fail;
    if (refused) exitCode = EXIT_ERROR;
    if (values.list) {
      if (isChanged) context.out(`${name}\n`);
    } else if (values.diff) {
      if (isChanged) context.out(diffLines(name, text, result.text));
    } else if (refused) context.note(`${name} is not formatted\n`);
    else if (!values.write) context.out(result.text);
    else if (isChanged) await writeFile(path, result.text);
  }
  return exitCode;
}

/** `rego check`: parses and compiles modules, and prints what is wrong. */
import { parseArgs } from "node:util";
import { compile } from "../program.ts";
import { type CommandContext, CommandError, oneOf, REFUSED_EVERYWHERE, refuseOptions } from "./command-context.ts";
import { loadModules } from "./load-files.ts";
import { errorJson, writePretty, writeProblems } from "./print.ts";

const EXIT_ERROR = 1;

export const CHECK_HELP = `rego check [options] <path>...

Reads and compiles modules together, and prints what is wrong with them.

  -f, --format <format>        pretty (default), json
`;

export async function runCheck(argv: readonly string[], context: CommandContext): Promise<number> {
  refuseOptions(argv, REFUSED_EVERYWHERE, EXIT_ERROR);
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { format: { type: "string", short: "f", default: "pretty" } },
  });
  const format = oneOf("format", values.format, ["pretty", "json"], EXIT_ERROR);
  if (positionals.length === 0) throw new CommandError(EXIT_ERROR, "Give files or folders: rego check policy/.");
  const modules = await loadModules(positionals, context.directory, EXIT_ERROR);
  const compiled = compile(modules);
  if (compiled.kind === "program") return 0;
  if (format === "json") context.note(`${writePretty({ errors: compiled.problems.map(errorJson) })}\n`);
  else context.note(writeProblems(compiled.problems));
  return EXIT_ERROR;
}

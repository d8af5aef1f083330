/**
 * The process of `rego`: its arguments, streams and exit code. This folder is the only place of the package that needs
 * Node; what the commands do with Rego is the library's.
 */
import { CHECK_HELP, runCheck } from "./check.ts";
import { type CommandContext, CommandError } from "./command-context.ts";
import { EVAL_HELP, runEval } from "./eval.ts";
import { FMT_HELP, runFmt } from "./fmt.ts";
import { runTest, TEST_HELP } from "./test.ts";

interface Command {
  readonly help: string;
  /** What a wrong command line exits with. */
  readonly exitRefused: number;
  readonly run: (argv: readonly string[], context: CommandContext) => Promise<number>;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ["eval", { help: EVAL_HELP, exitRefused: 1, run: runEval }],
  ["test", { help: TEST_HELP, exitRefused: 1, run: runTest }],
  ["fmt", { help: FMT_HELP, exitRefused: 1, run: runFmt }],
  ["check", { help: CHECK_HELP, exitRefused: 1, run: runCheck }],
]);

const HELP = `rego <command>

  eval    evaluates a query
  test    runs tests
  fmt     formats modules
  check   reads and compiles modules

rego <command> --help says what a command takes.
`;

const EXIT_REFUSED = 1;
const INPUT_CHARACTERS_MAX = 100_000_000;

export async function main(): Promise<void> {
  // A reader that has enough (`| head`) ends the command, as it ends others.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  process.exitCode = await runCommand(process.argv.slice(2), {
    directory: process.cwd(),
    out: (text) => void process.stdout.write(text),
    note: (text) => void process.stderr.write(text),
    nowNs: () => BigInt(Date.now()) * 1_000_000n,
    nowMs: () => performance.now(),
    async readInput() {
      let text = "";
      process.stdin.setEncoding("utf8");
      for await (const chunk of process.stdin) {
        text += String(chunk);
        if (text.length > INPUT_CHARACTERS_MAX) {
          throw new CommandError(EXIT_REFUSED, `Standard input is longer than ${INPUT_CHARACTERS_MAX} characters.`);
        }
      }
      return text;
    },
  });
}

async function runCommand(argv: readonly string[], context: CommandContext): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    context.out(HELP);
    return 0;
  }
  const command = COMMANDS.get(name);
  if (command === undefined) {
    context.note(`rego: there is no command ${JSON.stringify(name)}; it is ${[...COMMANDS.keys()].join(", ")}.\n`);
    return EXIT_REFUSED;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    context.out(command.help);
    return 0;
  }
  try {
    return await command.run(rest, context);
  } catch (cause) {
    // What a command cannot do, or a command line that is wrong, becomes a sentence; all else is a failure of ours.
    if (cause instanceof CommandError) {
      context.note(`rego ${name}: ${cause.message}\n`);
      return cause.exitCode;
    }
    const isCommandLine =
      cause instanceof TypeError && "code" in cause && String(cause.code).startsWith("ERR_PARSE_ARGS");
    if (!isCommandLine) throw cause;
    context.note(`rego ${name}: ${cause.message} See rego ${name} --help.\n`);
    return command.exitRefused;
  }
}

/**
 * The process of `writ`: its arguments, streams and exit code. Builds the program, loads the file of the command that
 * is asked for, and turns whatever ends it into a sentence. What commands do is in commands/.
 */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { CliContext } from "./cli-context.ts";
import { COMMANDS } from "./command-table.ts";
import { EXIT, refused } from "./exit-codes.ts";
import { explainError } from "./explain-error.ts";

const INPUT_CHARACTERS_MAX = 4 * 1024 * 1024;

export async function main(): Promise<void> {
  // A reader that has enough (`| head`) ends the command, as it ends others.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.ok);
    throw error;
  });
  process.exitCode = await runCli(process.argv.slice(2), makeProcessContext());
}

/** Runs one command line and resolves to its exit code. */
export async function runCli(argv: readonly string[], context: Omit<CliContext, "setExitCode">): Promise<number> {
  let exitCode: number = EXIT.ok;
  const json = argv.includes("--json");
  const full: CliContext = {
    ...context,
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  try {
    const program = await buildProgram(argv, full);
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && !(error instanceof InvalidArgumentError)) {
      // Help and version were asked for; anything else has been said by commander already.
      return error.exitCode === 0 ? EXIT.ok : EXIT.refused;
    }
    const explained = explainError(error);
    context.note(
      json
        ? `${JSON.stringify({ error: { code: explained.code, message: explained.message } })}\n`
        : `writ: ${explained.message}\n`,
    );
    return explained.exitCode;
  }
  return exitCode;
}

/** The program with the command that `argv` names in full, and the others as lines of the help. */
async function buildProgram(argv: readonly string[], context: CliContext): Promise<Command> {
  const program = newProgram(context);
  const wanted = argv.find((word) => !word.startsWith("-"));
  const { VERSION } = await import("./version.ts");
  program.version(VERSION, "-V, --version", "print the version");
  for (const { name, summary, load } of COMMANDS) {
    if (name === wanted || (wanted === "help" && argv.includes(name))) {
      const { define } = await load();
      define(program, context);
    } else {
      program
        .command(name)
        .description(summary)
        .action(() => {
          throw refused(`${name} could not be found in the command line. Write it first: writ ${name} …`);
        });
    }
  }
  return program;
}

/** An empty program that writes where the context says and throws instead of ending the process. */
export function newProgram(context: CliContext): Command {
  const program = new Command("writ");
  program
    .description("An authorization gateway for AI agents.")
    .exitOverride()
    .showHelpAfterError("(add --help for what is expected)")
    .configureOutput({
      writeOut: (text) => void context.out(text),
      writeErr: (text) => context.note(text),
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    });
  return program;
}

function makeProcessContext(): Omit<CliContext, "setExitCode"> {
  return {
    environment: process.env,
    directory: process.cwd(),
    terminal: {
      input: process.stdin.isTTY === true,
      output: process.stdout.isTTY === true,
      error: process.stderr.isTTY === true,
    },
    out(text) {
      return new Promise((resolve) => {
        if (process.stdout.write(text)) resolve();
        else process.stdout.once("drain", resolve);
      });
    },
    note: (text) => void process.stderr.write(text),
    async readInput() {
      let text = "";
      process.stdin.setEncoding("utf8");
      for await (const chunk of process.stdin) {
        text += String(chunk);
        if (text.length > INPUT_CHARACTERS_MAX)
          throw refused(`Standard input is longer than ${INPUT_CHARACTERS_MAX} characters.`);
      }
      return text;
    },
    nowMs: () => Date.now(),
  };
}

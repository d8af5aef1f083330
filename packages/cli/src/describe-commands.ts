/** The reference page of the command, as Markdown out of the definitions themselves. Writes nothing. */
import type { Argument, Command, Option } from "commander";
import { DEFAULT_ADMIN_URL } from "./admin-session.ts";
import type { CliContext } from "./cli-context.ts";
import { COMMANDS } from "./command-table.ts";
import { adminOptions } from "./define-command.ts";
import { EXIT } from "./exit-codes.ts";
import { newProgram } from "./main.ts";

const EXIT_SENTENCES: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "Done, or the answer is yes.",
  no: "The answer is no: a denied call, a damaged log, failed tests, a difference, a key without the permission.",
  refused: "The command line or an input was refused; nothing was changed.",
  failure: "Something did not answer or broke.",
};

/** Every command with its arguments and options. */
export async function describeCommands(): Promise<string> {
  const program = await fullProgram();
  const shared = adminOptions();
  const sharedFlags = new Set(shared.map(({ flags }) => flags));
  const lines = [
    "# The `writ` command",
    "",
    "Tables are for people; with `--json` a command prints JSON for programs, and an error as one line of JSON on standard",
    "error. Secrets are never arguments: admin keys come from `WRIT_ADMIN_KEY` or a file, tokens from a file, a pipe or",
    "`WRIT_TOKEN`. A token or key is printed only by the command that makes it.",
    "",
    "| exit code | |",
    "|--:|---|",
    ...Object.entries(EXIT).map(([name, code]) => `| ${code} | ${EXIT_SENTENCES[name as keyof typeof EXIT]} |`), // its own names
    "",
    "## Options of every command of the admin API",
    "",
    `Marked *admin* below. Without them, the control plane is ${DEFAULT_ADMIN_URL}.`,
    "",
    ...optionTable(shared),
  ];
  for (const command of program.commands) lines.push(...describe(command, sharedFlags));
  return `${lines.join("\n")}\n`;
}

/** The program with all commands defined. Exported for its tests. */
export async function fullProgram(): Promise<Command> {
  const program = newProgram(NOWHERE);
  for (const { load } of COMMANDS) (await load()).define(program, NOWHERE);
  return program;
}

function describe(command: Command, sharedFlags: ReadonlySet<string>): readonly string[] {
  const path = pathOf(command);
  const level = "#".repeat(path.length);
  const lines = ["", `${level} \`${path.join(" ")}\``, "", command.description()];
  if (command.commands.length > 0) {
    for (const child of command.commands) lines.push(...describe(child, sharedFlags));
    return lines;
  }
  const own = command.options.filter(({ flags }) => !sharedFlags.has(flags));
  const admin = [...sharedFlags].every((flags) => command.options.some((option) => option.flags === flags));
  const json = !admin && command.options.some(({ long }) => long === "--json");
  const words = [...path, ...command.registeredArguments.map(argumentText)];
  lines.push("", `    ${words.join(" ")}${command.options.length > 0 ? " [options]" : ""}`, "");
  const marks = [...(admin ? ["*admin*"] : []), ...(json ? ["`--json`"] : [])];
  if (marks.length > 0) lines.push(`Options: ${marks.join(", ")}${own.some(isShown) ? " and" : "."}`, "");
  const rows = [
    ...command.registeredArguments
      .filter(({ description }) => description !== "")
      .map((argument) => `| \`${argumentText(argument)}\` | ${cell(argument.description)} |`),
    ...own.filter(isShown).map(optionRow),
  ];
  if (rows.length > 0) lines.push("| | |", "|---|---|", ...rows);
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

function isShown({ long }: Option): boolean {
  return long !== "--json";
}

function pathOf(command: Command): readonly string[] {
  return command.parent === null ? [command.name()] : [...pathOf(command.parent), command.name()];
}

function argumentText(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function optionTable(options: readonly Option[]): readonly string[] {
  return ["| | |", "|---|---|", ...options.map(optionRow)];
}

function optionRow(option: Option): string {
  const usual = option.defaultValue === undefined || option.negate ? "" : ` (${String(option.defaultValue)})`;
  const required = option.mandatory ? " **Required.**" : "";
  return `| \`${option.flags.replaceAll("|", "\\|")}\` | ${cell(option.description)}${usual}${required} |`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("*", "\\*").replaceAll("<", "&lt;");
}

/** Definitions touch nothing; only running a command would. */
const NOWHERE: CliContext = {
  environment: {},
  directory: "/",
  terminal: { input: false, output: false, error: false },
  out: async () => {},
  note: () => {},
  readInput: async () => "",
  nowMs: () => 0,
  setExitCode: () => {},
};

/** What each file of commands/ exports. Types only, so that the table and its commands do not import each other. */
import type { Command } from "commander";
import type { CliContext } from "./cli-context.ts";

/** Adds a command, or a group of them, to the program. */
export type DefineCommands = (program: Command, context: CliContext) => void;

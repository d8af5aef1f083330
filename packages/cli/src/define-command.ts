/** Defines commands in one shape, so that each file of commands/ holds what its command does and nothing else. */
import { Argument, type Command, Option } from "commander";
import { type AdminOptions, type AdminSession, openAdminSession } from "./admin-session.ts";
import type { CliContext } from "./cli-context.ts";

export interface CommandDefinition<O> {
  /** Name and arguments: `show <agent>`. */
  readonly usage: string;
  readonly summary: string;
  readonly options?: readonly Option[];
  /** Descriptions of the arguments, in their order. */
  readonly arguments?: readonly string[];
  /** Resolves to the exit code; nothing means 0. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most commands have no answer but that they ended.
  readonly run: (args: readonly (string | undefined)[], options: O) => Promise<number | void>;
}

/** `flags` as commander writes them, and what they mean. */
export function option(flags: string, description: string): Option {
  return new Option(flags, description);
}

/** A command that needs nothing but its arguments. */
export function defineCommand<O>(parent: Command, context: CliContext, definition: CommandDefinition<O>): Command {
  const [name = "", ...args] = definition.usage.split(" ");
  const command = parent.command(name).description(definition.summary);
  args.forEach((text, index) => {
    command.addArgument(new Argument(text, definition.arguments?.[index] ?? ""));
  });
  for (const each of definition.options ?? []) command.addOption(each);
  command.action(async (...parameters: unknown[]) => {
    // Commander gives the arguments, then the options, then the command itself.
    const values = parameters.slice(0, -2) as readonly (string | undefined)[];
    const code = await definition.run(values, command.opts<O & Record<string, unknown>>());
    if (typeof code === "number") context.setExitCode(code);
  });
  return command;
}

/** What a command of the admin API is besides a command: it has a session. */
export interface AdminCommandDefinition<O> extends Omit<CommandDefinition<O>, "run"> {
  readonly run: (
    session: AdminSession,
    args: readonly (string | undefined)[],
    options: O,
    // biome-ignore lint/suspicious/noConfusingVoidType: as above
  ) => Promise<number | void>;
}

/** A command of the admin API, with the options that all of these have. */
export function defineAdminCommand<O = object>(
  parent: Command,
  context: CliContext,
  definition: AdminCommandDefinition<O>,
): Command {
  return defineCommand<O & AdminOptions>(parent, context, {
    ...definition,
    options: [...(definition.options ?? []), ...adminOptions()],
    run: async (args, options) => definition.run(await openAdminSession(context, options), args, options),
  });
}

export function adminOptions(): readonly Option[] {
  return [
    option("--url <url>", "the control plane (WRIT_ADMIN_URL; http://127.0.0.1:8485)"),
    option("--key-file <file>", "file with the admin key (WRIT_ADMIN_KEY holds the key itself; .writ/admin-key)"),
    option("--tenant <tenant>", "id or name of the tenant (WRIT_TENANT; default)"),
    option("--json", "print JSON"),
  ];
}

/** A group: prints its help when nothing is named. */
export function defineGroup(parent: Command, name: string, summary: string): Command {
  return parent.command(name).description(summary);
}

/** An argument that commander has made sure of. */
export function given(value: string | undefined): string {
  if (value === undefined) throw new TypeError("a required argument is missing");
  return value;
}

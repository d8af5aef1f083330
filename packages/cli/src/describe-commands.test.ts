import type { Command } from "commander";
import { expect, test } from "vitest";
import { COMMANDS } from "./command-table.ts";
import { describeCommands, fullProgram } from "./describe-commands.ts";

function leaves(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

test("every file of the table defines the command that the table names", async () => {
  const program = await fullProgram();

  expect(program.commands.map((command) => command.name())).toEqual(COMMANDS.map(({ name }) => name));
});

test("every command says in a sentence what it does", async () => {
  for (const command of leaves(await fullProgram())) {
    expect(command.description(), command.name()).toMatch(/^[A-Z].*\.$/s);
    for (const { description } of command.options) expect(description, command.name()).not.toBe("");
  }
});

test("no command takes a secret on its command line", async () => {
  for (const command of leaves(await fullProgram())) {
    const flags = command.options.map(({ long }) => long ?? "");
    const names = [...flags, ...command.registeredArguments.map((argument) => argument.name())];
    expect(
      names.filter(
        (name) =>
          /token|secret|password|admin-?key/i.test(name) && !/file$/.test(name) && name !== "--token-lifetime-max",
      ),
      command.name(),
    ).toEqual([]);
  }
});

test("the page names every command and every option", async () => {
  const page = await describeCommands();

  for (const command of leaves(await fullProgram())) {
    const path: string[] = [];
    for (let at: Command | null = command; at !== null; at = at.parent) path.unshift(at.name());
    expect(page).toContain(`\`${path.join(" ")}\``);
    for (const { flags, long } of command.options) {
      if (long !== "--json") expect(page).toContain(flags);
    }
  }
});

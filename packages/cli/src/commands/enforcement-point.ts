/** `writ enforcement-point`: keys for proxies and services that ask for decisions. A key appears once: where it is made. */
import { ACTIONS, type Action } from "@writ/contract";
import type { EnforcementPointView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import { writeSecretFile } from "../files.ts";
import { type Column, formatTime } from "../format-table.ts";
import { readDuration } from "../read-values.ts";

const COLUMNS: readonly Column<EnforcementPointView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "AGENTS", value: ({ agents, principals }) => `${agents.length} and of ${principals.length} principal(s)` },
  { title: "ACTIONS", value: ({ actions }) => actions.join(",") },
  { title: "UPSTREAMS", value: ({ upstreams }) => upstreams.join(",") },
  { title: "CREATED", value: ({ createdAtMs }) => formatTime(createdAtMs) },
  { title: "EXPIRES", value: ({ expiresAtMs }) => formatTime(expiresAtMs) },
  { title: "ID", value: ({ id }) => id },
];

interface CreateOptions {
  readonly agents?: readonly string[];
  readonly principals?: readonly string[];
  readonly actions: readonly Action[];
  readonly upstreams: readonly string[];
  readonly expiresIn?: number;
  readonly out?: string;
}

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(
    program,
    "enforcement-point",
    "Enforcement points: proxies and services that ask for decisions on behalf of agents.",
  );
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List enforcement points, without their keys.",
    run: ({ list, tenant }) => list("enforcement-points.list", { params: { tenant } }, COLUMNS),
  });
  defineAdminCommand<CreateOptions>(group, context, {
    usage: "create <name>",
    summary: "Create an enforcement point and print its key, the only time that it is shown.",
    options: [
      option("--agents <list>", "ids or names of the agents that it may speak for").argParser(readList),
      option("--principals <list>", "ids or names of principals, for all of whose agents it may speak").argParser(
        readList,
      ),
      option("--actions <list>", "what it may ask about, such as tool.call,http.request")
        .argParser(readActions)
        .makeOptionMandatory(),
      option("--upstreams <list>", "names of upstreams that it may ask about; * for all")
        .argParser(readList)
        .makeOptionMandatory(),
      option("--expires-in <duration>", "life of the key, such as 90d").argParser(readDuration),
      option("--out <file>", "write the key to a file of mode 0600 instead"),
    ],
    async run({ client, tenant, show }, [name], { agents, principals, actions, upstreams, expiresIn, out }) {
      const body = {
        name: given(name),
        ...(agents === undefined ? {} : { agents }),
        ...(principals === undefined ? {} : { principals }),
        actions,
        upstreams,
        ...(expiresIn === undefined ? {} : { expiresInSeconds: expiresIn }),
      };
      const created = await client.call("enforcement-points.create", { params: { tenant }, body });
      context.note(`Created ${created.view.name} (${created.view.id}).\n`);
      if (out === undefined) return show(created, () => `${created.key}\n`);
      const file = await writeSecretFile(context, out, created.key);
      await show({ file, view: created.view }, () => `The key is in ${file} (mode 0600).\n`);
    },
  });
  defineAdminCommand(group, context, {
    usage: "revoke <point>",
    summary: "Revoke the key of an enforcement point.",
    arguments: ["id"],
    async run({ client, tenant, show }, [text]) {
      const id = given(text);
      await client.call("enforcement-points.revoke", { params: { tenant, id } });
      await show({ revoked: id }, () => `Revoked ${id}.\n`);
    },
  });
};

function readList(text: string): readonly string[] {
  return text.split(",").map((word) => word.trim());
}

function readActions(text: string): readonly Action[] {
  return readList(text).map((word) => {
    const action = ACTIONS.find((known) => known === word);
    if (action === undefined) throw refused(`${word} is no action. There are: ${ACTIONS.join(", ")}.`);
    return action;
  });
}

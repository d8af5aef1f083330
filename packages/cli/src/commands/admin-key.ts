/** `writ admin-key`: keys for the admin API. A key appears once: where it is made. */
import { ADMIN_PERMISSIONS, type AdminGrant, type AdminKeyView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import { writeSecretFile } from "../files.ts";
import { type Column, formatTime } from "../format-table.ts";
import { readDuration } from "../read-values.ts";

const COLUMNS: readonly Column<AdminKeyView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "PERMISSIONS", value: ({ permissions }) => permissions.join(",") },
  { title: "CREATED", value: ({ createdAtMs }) => formatTime(createdAtMs) },
  { title: "EXPIRES", value: ({ expiresAtMs }) => formatTime(expiresAtMs) },
  { title: "REVOKED", value: ({ revokedAtMs }) => formatTime(revokedAtMs) },
  { title: "ID", value: ({ id }) => id },
];

interface Scope {
  readonly instance?: boolean;
}

const INSTANCE = () => option("--instance", "keys of the instance instead of the tenant's");

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "admin-key", "Admin keys: what administrators and programs use here.");
  defineAdminCommand<Scope>(group, context, {
    usage: "list",
    summary: "List admin keys, without the keys.",
    options: [INSTANCE()],
    run: ({ list, tenant }, _args, { instance }) =>
      instance === true
        ? list("instance.admin-keys.list", {}, COLUMNS)
        : list("admin-keys.list", { params: { tenant } }, COLUMNS),
  });
  defineAdminCommand<
    Scope & { readonly permissions: readonly AdminGrant[]; readonly expiresIn?: number; readonly out?: string }
  >(group, context, {
    usage: "create <name>",
    summary: "Create an admin key and print it, the only time that it is shown.",
    options: [
      option("--permissions <list>", "such as agents:read,tokens:mint; * for all of its scope")
        .argParser(readGrants)
        .makeOptionMandatory(),
      option("--expires-in <duration>", "life of the key, such as 90d").argParser(readDuration),
      option("--out <file>", "write the key to a file of mode 0600 instead"),
      INSTANCE(),
    ],
    async run({ client, tenant, show }, [name], { instance, permissions, expiresIn, out }) {
      const body = {
        name: given(name),
        permissions,
        ...(expiresIn === undefined ? {} : { expiresInSeconds: expiresIn }),
      };
      const created =
        instance === true
          ? await client.call("instance.admin-keys.create", { body })
          : await client.call("admin-keys.create", { params: { tenant }, body });
      context.note(`Created ${created.view.name} (${created.view.id}).\n`);
      if (out === undefined) return show(created, () => `${created.key}\n`);
      const file = await writeSecretFile(context, out, created.key);
      await show({ file, view: created.view }, () => `The key is in ${file} (mode 0600).\n`);
    },
  });
  defineAdminCommand<Scope>(group, context, {
    usage: "revoke <key>",
    summary: "Revoke an admin key.",
    arguments: ["id"],
    options: [INSTANCE()],
    async run({ client, tenant, show }, [text], { instance }) {
      const id = given(text);
      if (instance === true) await client.call("instance.admin-keys.revoke", { params: { id } });
      else await client.call("admin-keys.revoke", { params: { tenant, id } });
      await show({ revoked: id }, () => `Revoked ${id}.\n`);
    },
  });
};

function readGrants(text: string): readonly AdminGrant[] {
  return text.split(",").map((word) => {
    const grant = [...ADMIN_PERMISSIONS, "*" as const].find((known) => known === word.trim());
    if (grant === undefined) throw refused(`${word} is no permission. There are: ${ADMIN_PERMISSIONS.join(", ")}, *.`);
    return grant;
  });
}

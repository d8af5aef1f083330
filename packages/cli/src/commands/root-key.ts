/** `writ root-key`: the keys that tokens are minted with. */
import type { RootKeyView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import type { Column } from "../format-table.ts";

const COLUMNS: readonly Column<RootKeyView>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "STATUS", value: ({ status }) => status },
];

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "root-key", "Root keys: what tokens are minted with.");
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List root keys, without the keys.",
    run: ({ list, tenant }) => list("root-keys.list", { params: { tenant } }, COLUMNS),
  });
  defineAdminCommand(group, context, {
    usage: "rotate",
    summary: "Make a new root key that mints; tokens of the one before are still accepted.",
    async run({ client, tenant, show }) {
      const answer = await client.call("root-keys.rotate", { params: { tenant } });
      await show(answer, () => `${answer.key.id} mints from now on; ${answer.previous} still verifies.\n`);
    },
  });
  defineAdminCommand(group, context, {
    usage: "retire <key>",
    summary: "Retire a root key: its tokens are refused from now on.",
    arguments: ["id"],
    async run({ client, tenant, show }, [id]) {
      const key = await client.call("root-keys.retire", { params: { tenant, id: given(id) } });
      await show(key, () => `${key.id} is ${key.status}; its tokens are refused.\n`);
    },
  });
};

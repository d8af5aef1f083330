/** `writ price`: what calls cost in credits. */
import type { PriceView } from "@writ/contract/admin";
import type { AdminSession } from "../admin-session.ts";
import { defineAdminCommand, defineGroup, given } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import type { Column } from "../format-table.ts";
import { readCount } from "../read-values.ts";

const COLUMNS: readonly Column<PriceView>[] = [
  { title: "PATTERN", value: ({ pattern }) => pattern },
  { title: "CREDITS", value: ({ credits }) => credits, align: "right" },
  { title: "ID", value: ({ id }) => id },
];

async function findPrice({ client, tenant }: AdminSession, pattern: string): Promise<PriceView | undefined> {
  for await (const price of client.pages("prices.list", { params: { tenant }, query: {} })) {
    if (price.pattern === pattern) return price;
  }
  return undefined;
}

const PATTERN = "upstream/tool, or 'upstream/METHOD /path' for HTTP requests; * stands for any characters";

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(
    program,
    "price",
    "The price list: what calls cost in credits. The exact entry counts, else the closest pattern, else 1.",
  );
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List what calls cost.",
    run: ({ list, tenant }) => list("prices.list", { params: { tenant }, query: {} }, COLUMNS),
  });
  defineAdminCommand(group, context, {
    usage: "set <pattern> <credits>",
    summary: "Say what calls of a tool, requests to a path, or a pattern of them cost.",
    arguments: [PATTERN, "whole credits of one call; 0 is free"],
    async run(session, [pattern, text]) {
      const { client, tenant, show } = session;
      const credits = readCount(0)(given(text));
      const present = await findPrice(session, given(pattern));
      const price =
        present === undefined
          ? await client.call("prices.create", { params: { tenant }, body: { pattern: given(pattern), credits } })
          : await client.call("prices.update", {
              params: { tenant, id: present.id },
              body: { version: present.version, credits },
            });
      await show(price, () => `A call of ${price.pattern} costs ${price.credits} credits.\n`);
    },
  });
  defineAdminCommand(group, context, {
    usage: "remove <pattern>",
    summary: "Remove an entry; the next closest pattern counts.",
    arguments: [PATTERN],
    async run(session, [pattern]) {
      const { client, tenant, show } = session;
      const present = await findPrice(session, given(pattern));
      if (present === undefined) throw refused("The price list has no entry of this pattern.");
      const { id, version } = present;
      await client.call("prices.remove", { params: { tenant, id }, query: { version } });
      await show({ removed: id }, () => `Removed ${present.pattern} from the price list.\n`);
    },
  });
};

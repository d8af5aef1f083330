/** `writ kill`: switches that stop every call of something at once. */
import { KILL_SCOPES } from "@writ/contract";
import type { KillView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { refused } from "../exit-codes.ts";
import { type Column, formatTime } from "../format-table.ts";
import { readChoice } from "../read-values.ts";

const COLUMNS: readonly Column<KillView>[] = [
  { title: "SCOPE", value: ({ scope }) => scope },
  { title: "OF", value: ({ scopeId }) => (scopeId === "" ? undefined : scopeId) },
  { title: "SINCE", value: ({ engagedAtMs }) => formatTime(engagedAtMs) },
  { title: "REASON", value: ({ reason }) => reason },
];

const ARGUMENTS = [KILL_SCOPES.join(", "), "id or name of the agent or principal; upstream; upstream/tool"];

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "kill", "Kill switches: stop every call of something at once.");
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List engaged kill switches, the instance's included.",
    run: ({ list, tenant }) => list("kill.list", { params: { tenant } }, COLUMNS),
  });
  defineAdminCommand<{ readonly reason: string }>(group, context, {
    usage: "engage <scope> [of]",
    summary: "Stop every call of the instance, the tenant, an agent, a principal, an upstream or a tool.",
    arguments: ARGUMENTS,
    options: [option("--reason <text>", "why, for the log").makeOptionMandatory()],
    async run({ client, tenant, show }, [scopeText, of], { reason }) {
      const target = readTarget(given(scopeText), of);
      const body = { reason };
      const kill =
        "scopeId" in target
          ? await client.call("kill.engage", { params: { tenant, ...target }, body })
          : target.scope === "instance"
            ? await client.call("instance.kill.engage", { body })
            : await client.call("kill.engage-tenant", { params: { tenant }, body });
      await show(
        kill,
        () => `Engaged since ${formatTime(kill.engagedAtMs)}: no call of ${phrase(target)} is allowed.\n`,
      );
    },
  });
  defineAdminCommand(group, context, {
    usage: "release <scope> [of]",
    summary: "Release a kill switch.",
    arguments: ARGUMENTS,
    async run({ client, tenant, show }, [scopeText, of]) {
      const target = readTarget(given(scopeText), of);
      if ("scopeId" in target) await client.call("kill.release", { params: { tenant, ...target } });
      else if (target.scope === "instance") await client.call("instance.kill.release");
      else await client.call("kill.release-tenant", { params: { tenant } });
      await show({ released: target }, () => `Released the kill switch of ${phrase(target)}.\n`);
    },
  });
};

type KillTarget =
  | { readonly scope: "instance" | "tenant" }
  | { readonly scope: "agent" | "principal" | "upstream" | "tool"; readonly scopeId: string };

/** Exported for its tests. */
export function readTarget(scopeText: string, of: string | undefined): KillTarget {
  const scope = readChoice(KILL_SCOPES)(scopeText);
  if (scope === "instance" || scope === "tenant") {
    if (of !== undefined) throw refused(`The kill switch of the ${scope} names nothing else.`);
    return { scope };
  }
  if (of === undefined) throw refused(`Name the ${scope}: writ kill … ${scope} <${scope}>.`);
  return { scope, scopeId: of };
}

function phrase(target: KillTarget): string {
  return "scopeId" in target ? `${target.scope} ${target.scopeId}` : `the ${target.scope}`;
}

/** `writ observe`: upstreams whose policy only records what it would deny, for a while, and what that came to. */
import type { ObserveView } from "@writ/contract/admin";
import { defineAdminCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { type Column, formatTime } from "../format-table.ts";
import { reportObserved } from "../observe-report.ts";
import { OBSERVE_SECONDS_MAX, readCount, readDuration, readObserveDuration } from "../read-values.ts";

const COLUMNS: readonly Column<ObserveView>[] = [
  { title: "UPSTREAM", value: ({ upstream }) => upstream },
  { title: "STATE", value: ({ active }) => (active ? "observed" : "ended") },
  { title: "SINCE", value: ({ startedAtMs }) => formatTime(startedAtMs) },
  { title: "UNTIL", value: ({ untilMs }) => formatTime(untilMs) },
  { title: "BY", value: ({ startedBy }) => startedBy },
];

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(
    program,
    "observe",
    "Observe mode: what the policy would deny on an upstream is allowed and recorded, for 14 days at most.",
  );
  defineAdminCommand<{ readonly for: number }>(group, context, {
    usage: "start <upstream>",
    summary:
      "Put an upstream under observation, or give its observation another end. Everything but the policy denies as before.",
    arguments: ["id or name"],
    options: [
      option("--for <duration>", "how long from now: 14d at most")
        .argParser(readObserveDuration)
        .default(OBSERVE_SECONDS_MAX, "14d"),
    ],
    async run({ client, tenant, show }, [id], options) {
      const view = await client.call("observe.start", {
        params: { tenant, id: given(id) },
        body: { seconds: options.for },
      });
      await show(
        view,
        () =>
          `${view.upstream} is under observation until ${formatTime(view.untilMs)}: what the policy would deny is allowed.\nSee what that is with: writ observe report ${view.upstream}\n`,
      );
    },
  });
  defineAdminCommand(group, context, {
    usage: "stop <upstream>",
    summary: "End the observation of an upstream: the policy denies again, from now on.",
    arguments: ["id or name"],
    async run({ client, tenant, show }, [id]) {
      await client.call("observe.stop", { params: { tenant, id: given(id) } });
      await show({ stopped: given(id) }, () => `${given(id)} is no longer under observation.\n`);
    },
  });
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List upstreams under observation.",
    run: ({ list, tenant }) => list("observe.list", { params: { tenant } }, COLUMNS),
  });
  defineAdminCommand<{ readonly epoch?: number; readonly since?: number }>(group, context, {
    usage: "report [upstream]",
    summary: "Say what the policy would have denied, from the log: by agent, tool, rule and reason.",
    arguments: ["name; left out, all of them"],
    options: [
      option("--since <duration>", "only of the last, such as 24h").argParser(readDuration),
      option("--epoch <epoch>", "of an earlier epoch of the log").argParser(readCount(1)),
    ],
    run: (session, [upstream], options) => reportObserved(session, upstream, options),
  });
};

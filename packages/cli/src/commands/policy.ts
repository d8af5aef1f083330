/** `writ policy`: the rules file. validate and test work here without a server; apply and diff ask the control plane. */
import { hash } from "node:crypto";
import type { PolicyVersionView } from "@writ/contract/admin";
import { compileRules, diffLines, type RulesCompilation, runRuleTests } from "@writ/policy";
import { ProblemError } from "@writ/sdk/admin";
import type { AdminSession } from "../admin-session.ts";
import type { CliContext } from "../cli-context.ts";
import { defineAdminCommand, defineCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { EXIT, refused } from "../exit-codes.ts";
import { readTextFile } from "../files.ts";
import { type Column, formatTime, printable } from "../format-table.ts";
import { readCount, readDuration } from "../read-values.ts";
import { tryPolicy } from "../try-policy.ts";

const COLUMNS: readonly Column<PolicyVersionView>[] = [
  { title: "ACTIVE", value: ({ active }) => (active ? "active" : "") },
  { title: "CREATED", value: ({ createdAtMs }) => formatTime(createdAtMs) },
  { title: "BY", value: ({ createdBy }) => createdBy },
  { title: "DIGEST", value: ({ digest }) => digest.slice(0, 16) },
  { title: "ID", value: ({ id }) => id },
];

const JSON_OPTION = () => option("--json", "print JSON");

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "policy", "The rules file: what agents may do.");
  defineCommand<{ readonly json?: boolean }>(group, context, {
    usage: "validate <file>",
    summary: "Compile a rules file here and say what is wrong with it. Asks no server.",
    options: [JSON_OPTION()],
    async run([file], { json }) {
      const compilation = compile(await readTextFile(context, given(file), "rules file"));
      const problems = compilation.kind === "problems" ? compilation.problems : [];
      const rules = compilation.kind === "compiled" ? compilation.rules.length : 0;
      await context.out(
        json === true
          ? `${JSON.stringify({ valid: problems.length === 0, problems })}\n`
          : problems.length === 0
            ? `${file} is valid: ${rules} rules.\n`
            : formatProblems(given(file), problems),
      );
      return problems.length === 0 ? EXIT.ok : EXIT.no;
    },
  });
  defineCommand<{ readonly json?: boolean }>(group, context, {
    usage: "test <file>",
    summary: "Run the tests of a rules file here. Asks no server.",
    options: [JSON_OPTION()],
    run: ([file], { json }) => testRules(context, given(file), json === true),
  });
  defineAdminCommand<{ readonly skipTests?: boolean }>(group, context, {
    usage: "apply <file>",
    summary: "Store a rules file as a version and make it the active one.",
    options: [option("--skip-tests", "although its tests fail")],
    run: (session, [file], { skipTests }) => apply(session, given(file), skipTests === true),
  });
  defineAdminCommand<{ readonly from?: string; readonly to?: string }>(group, context, {
    usage: "diff [file]",
    summary: "Compare the active policy with a file, or two stored versions. Exits with 1 when they differ.",
    options: [
      option("--from <version>", "id of a stored version instead of the active one"),
      option("--to <version>", "id of a stored version instead of a file"),
    ],
    run: (session, [file], versions) => diff(session, file, versions),
  });
  defineAdminCommand<{ readonly upstream?: string; readonly since?: number; readonly epoch?: number }>(group, context, {
    usage: "try <file>",
    summary: "Say what a rules file would have decided about the calls on record. Changes nothing.",
    options: [
      option("--upstream <name>", "only calls on this upstream"),
      option("--since <duration>", "only calls of the last, such as 24h").argParser(readDuration),
      option("--epoch <epoch>", "of an earlier epoch of the log").argParser(readCount(1)),
    ],
    run: async (session, [file], options) =>
      tryPolicy(session, await readTextFile(context, given(file), "rules file"), options),
  });
  defineAdminCommand(group, context, {
    usage: "show [version]",
    summary: "Print the active rules file, or that of a version.",
    async run({ client, tenant, show }, [id]) {
      const policy =
        id === undefined
          ? await client.call("policy.get", { params: { tenant } })
          : await client.call("policy.versions.get", { params: { tenant, id } });
      await show(policy, () => policy.source ?? "");
    },
  });
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List stored versions.",
    run: ({ list, tenant }) => list("policy.versions.list", { params: { tenant }, query: {} }, COLUMNS),
  });
};

function compile(source: string): RulesCompilation {
  return compileRules(source, { digest: hash("sha256", source, "hex") });
}

function formatProblems(
  file: string,
  problems: readonly {
    readonly line: number;
    readonly column: number;
    readonly message: string;
    readonly hint?: string;
  }[],
): string {
  return problems
    .map(({ line, column, message, hint }) => {
      const advice = hint === undefined || hint === "" ? "" : ` ${hint}`;
      return `${file}:${line}:${column}: ${printable(message + advice)}\n`;
    })
    .join("");
}

async function testRules(context: CliContext, file: string, json: boolean): Promise<number> {
  const compilation = compile(await readTextFile(context, file, "rules file"));
  if (compilation.kind === "problems") {
    const { problems } = compilation;
    await context.out(
      json ? `${JSON.stringify({ passed: false, problems, tests: [] })}\n` : formatProblems(file, problems),
    );
    return EXIT.no;
  }
  const tests = runRuleTests(compilation);
  const failed = tests.filter(({ kind }) => kind === "failed");
  if (json) {
    await context.out(`${JSON.stringify({ passed: failed.length === 0, problems: [], tests })}\n`);
  } else {
    for (const { name, line, detail } of failed) {
      await context.out(`${file}:${line}: failed: ${printable(name)}: ${printable(detail)}\n`);
    }
    const counted = `${tests.length - failed.length} passed, ${failed.length} failed`;
    await context.out(tests.length === 0 ? `${file} has no tests.\n` : `${counted}.\n`);
  }
  return failed.length === 0 ? EXIT.ok : EXIT.no;
}

async function apply({ client, context, tenant, show }: AdminSession, file: string, skipTests: boolean): Promise<void> {
  const source = await readTextFile(context, file, "rules file");
  const params = { tenant };
  const before = await activeVersion(client, tenant);
  const version = await client.call("policy.versions.create", {
    params,
    body: { source, ...(skipTests ? { skipTests } : {}) },
  });
  const active = await client.call("policy.versions.activate", {
    params: { tenant, id: version.id },
    body: { expectedActive: before?.versionId ?? null },
  });
  await show(active, () =>
    before?.digest === active.digest
      ? `Version ${active.versionId} is active; its rules are those that were active before.\n`
      : `Version ${active.versionId} is active (policy ${active.digest.slice(0, 12)}).\n`,
  );
}

async function activeVersion(
  client: AdminSession["client"],
  tenant: string,
): Promise<{ readonly versionId: string; readonly digest: string; readonly source: string } | undefined> {
  try {
    return await client.call("policy.get", { params: { tenant } });
  } catch (error) {
    // A tenant without a policy has nothing active; every other failure goes on.
    if (error instanceof ProblemError && error.code === "not_found") return undefined;
    throw error;
  }
}

async function diff(
  { client, context, tenant, show }: AdminSession,
  file: string | undefined,
  { from, to }: { readonly from?: string; readonly to?: string },
): Promise<number> {
  if ((file === undefined) === (to === undefined)) throw refused("Name a file, or a stored version with --to.");
  const before = async (): Promise<string> =>
    from === undefined
      ? ((await activeVersion(client, tenant))?.source ?? "")
      : ((await client.call("policy.versions.get", { params: { tenant, id: from } })).source ?? "");
  const after = async (): Promise<string> =>
    to === undefined
      ? readTextFile(context, file ?? "", "rules file")
      : ((await client.call("policy.versions.get", { params: { tenant, id: to } })).source ?? "");
  const lines = diffLines(await before(), await after());
  const changed = lines.filter(({ kind }) => kind !== "same").length;
  await show({ changed, lines }, () => {
    if (changed === 0) return "They are the same.\n";
    const marks = { same: " ", added: "+", removed: "-" } as const;
    return lines.map(({ kind, text }) => `${marks[kind]} ${printable(text)}\n`).join("");
  });
  return changed === 0 ? EXIT.ok : EXIT.no;
}

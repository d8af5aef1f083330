/**
 * The reference pages that are generated, from the contract, the schema of the
 * configuration, the definitions of the commands and the built-ins of the Rego engine:
 * Markdown out of tables. Writing and comparing them is for reference.ts and for the check.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describeCommands } from "@writ/cli";
import { ACTIONS, EVENTS, type EventEntry, isCharged, REASONS, type ReasonEntry } from "@writ/contract";
import { describeConfig } from "@writ/runtime";
import { withSupported } from "./rego-supported.ts";

const REGO_README = "packages/rego/README.md";

/** Where a page goes, from the root of the repository, and what it says. */
export interface ReferencePage {
  readonly path: string;
  readonly text: string;
}

function notice(source: string): string {
  return `<!-- Written by \`npm run docs:reference\` from ${source}. Do not edit. -->`;
}

/** Every generated page. */
export async function referencePages(): Promise<readonly ReferencePage[]> {
  return [
    { path: "docs/reference/actions.md", text: actionsPage() },
    { path: "docs/reference/cli.md", text: `${notice("packages/cli")}\n\n${await describeCommands()}` },
    { path: "docs/reference/configuration.md", text: `${notice("packages/runtime")}\n\n${describeConfig()}` },
    { path: "docs/reference/events.md", text: eventsPage() },
    { path: "docs/reference/reasons.md", text: reasonsPage() },
    { path: REGO_README, text: withSupported(await readFile(join(import.meta.dirname, "..", REGO_README), "utf8")) },
  ];
}

function reasonsPage(): string {
  const rows = Object.entries<ReasonEntry>(REASONS).map(
    ([code, entry]) => `| \`${code}\` | ${entry.http} | ${entry.jsonRpc ?? "–"} | ${cell(entry.sentence)} |`,
  );
  return page("Reasons", [
    "Every decision carries reasons from this closed list: allows as well as denials. A code never changes its meaning.",
    "Where no JSON-RPC code is given, the transport answers with the HTTP status alone.",
    "",
    "| code | HTTP | JSON-RPC | sentence |",
    "|---|--:|--:|---|",
    ...rows,
  ]);
}

function eventsPage(): string {
  const entries = Object.entries<EventEntry>(EVENTS);
  const lines = [
    "Every event in the audit log has one of these names. Besides its own fields, each has the envelope `v` (the version",
    "below), `event`, `id` (UUIDv7), `time` (milliseconds, the writer's clock) and `tenant`. Its place in the log (sequence,",
    "commit time, previous hash) belongs to the link and not to the event.",
  ];
  for (const category of [...new Set(entries.map(([, entry]) => entry.category))]) {
    lines.push("", `## ${category}`);
    for (const [name, entry] of entries) {
      if (entry.category !== category) continue;
      lines.push("", `### \`${name}\``, "", `Version ${entry.version}. ${entry.sentence}`, "");
      lines.push("| field | type | |", "|---|---|---|");
      for (const [field, type] of Object.entries(entry.fields)) {
        lines.push(`| \`${field}\` | ${type} | ${entry.optional?.includes(field) === true ? "may be absent" : ""} |`);
      }
    }
  }
  return page("Audit events", lines);
}

function actionsPage(): string {
  const rows = ACTIONS.map((action) => `| \`${action}\` | ${isCharged(action) ? "yes" : "no"} |`);
  return page("Actions", [
    "What an agent can attempt. Tokens, policies and the log name actions by these strings, and the list is closed.",
    "Only charged actions use up `calls` and budgets.",
    "",
    "| action | charged |",
    "|---|---|",
    ...rows,
  ]);
}

function page(title: string, lines: readonly string[]): string {
  return `${[notice("packages/contract"), "", `# ${title}`, "", ...lines].join("\n")}\n`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

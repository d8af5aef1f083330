/** The reference page of the configuration, made from the schema so that the two cannot differ. Writes no file. */
import type { SettingSchema } from "./schema.ts";
import { listGroups, listSettings, type Setting } from "./settings.ts";

/** Markdown of docs/reference/configuration.md. */
export function describeConfig(): string {
  const settings = listSettings();
  const out = [
    "# Configuration",
    "",
    "Writ reads one file, `writ.yaml` in the working directory unless `--config` or `WRIT_CONFIG` names another, and the",
    "environment. The environment wins over the file, the file over the defaults. An unknown setting stops the start.",
    "Relative paths start at the file, or at the working directory when they come from the environment.",
    "",
  ];
  out.push(...table(settings.filter((setting) => !setting.path.includes("."))), "");
  for (const group of listGroups()) {
    out.push(`## ${group.path}`, "", group.description, "");
    out.push(...table(settings.filter((setting) => setting.path.startsWith(`${group.path}.`))), "");
  }
  return `${out.join("\n").trimEnd()}\n`;
}

function table(settings: readonly Setting[]): string[] {
  return [
    "| setting | environment | values | default | meaning |",
    "|---|---|---|---|---|",
    ...settings.map(
      ({ path, environment, schema }) =>
        `| ${schema.environmentOnly === true ? "–" : `\`${path}\``} | \`${environment}\` | ${values(schema)} | ${defaultText(schema)} | ${schema.description}${schema.productionRequires === true ? " **Production does not start without it.**" : ""} |`,
    ),
  ];
}

function values(schema: SettingSchema): string {
  if ("enum" in schema) return schema.enum.map((one) => `\`${one}\``).join(", ");
  if (schema.type === "integer") return `${schema.minimum}–${schema.maximum}`;
  return schema.type === "array" ? "list of texts (comma-separated in the environment)" : "text";
}

function defaultText(schema: SettingSchema): string {
  if (schema.default !== undefined) return `\`${String(schema.default)}\``;
  return schema.defaultNote ?? "–";
}

/** The table of built-ins in packages/rego/README.md, from the registry of the engine. */
import { BUILTINS } from "@writ/rego";

const OPEN = /<!-- supported:[^>]*-->\n/;
const CLOSE = "<!-- /supported -->";

/** The README with its table as the registry has it today. */
export function withSupported(readme: string): string {
  const open = OPEN.exec(readme);
  const end = readme.indexOf(CLOSE);
  if (open === null || end < open.index) throw new TypeError("the README has no marks around its table of built-ins");
  return `${readme.slice(0, open.index + open[0].length)}\n${supportedTable()}\n${readme.slice(end)}`;
}

function supportedTable(): string {
  const areas = new Map<string, string[]>();
  const refused: string[] = [];
  for (const { name, infix, run } of [...BUILTINS].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (name.startsWith("internal.")) continue;
    if (typeof run !== "function") {
      refused.push(`| \`${name}\` | ${run.refused} |`);
      continue;
    }
    const area = infix === undefined ? (/^([a-z_]+)\./.exec(name)?.[1] ?? "without a prefix") : "operators";
    const shown = infix === undefined ? name : infix.replaceAll("|", "\\|");
    const names = areas.get(area) ?? [];
    areas.set(area, names);
    names.push(`\`${shown}\``);
  }
  const rows = [...areas]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([area, names]) => `| ${area} | ${names.join(", ")} |`);
  return [
    ...["| area | built-ins |", "|---|---|", ...rows, ""],
    "Known by name, so that `with` can put a function in their place, and refused otherwise:",
    ...["", "| built-in | why not |", "|---|---|", ...refused, ""],
  ].join("\n");
}

/** Coverage in the shape of OPA's JSON, and whether it is enough. */
import type { FileCoverage } from "../run/trace.ts";
import type { Module } from "../syntax/ast.ts";

interface LineRange {
  readonly start: { readonly row: number };
  readonly end: { readonly row: number };
}

interface Share {
  readonly covered_lines: number;
  readonly not_covered_lines: number;
  /** Percent, in tenths. */
  readonly coverage: number;
}

export interface CoverageReport extends Share {
  readonly files: Readonly<Record<string, Share & { covered?: LineRange[]; not_covered?: LineRange[] }>>;
}

/** Of the modules alone: a query is no file. */
export function coverageReport(all: readonly FileCoverage[], modules: readonly Module[]): CoverageReport {
  const names = new Set(modules.map((module) => module.source.file));
  const coverage = all.filter(({ file }) => names.has(file));
  const files = coverage.map(({ file, covered, notCovered }) => {
    const entry = {
      ...(covered.length === 0 ? {} : { covered: rangesOf(covered) }),
      ...(notCovered.length === 0 ? {} : { not_covered: rangesOf(notCovered) }),
      ...share(covered.length, notCovered.length),
    };
    return [file, entry] as const;
  });
  const sum = (pick: (each: FileCoverage) => number) => coverage.reduce((total, each) => total + pick(each), 0);
  const total = share(
    sum((each) => each.covered.length),
    sum((each) => each.notCovered.length),
  );
  return { files: Object.fromEntries(files), ...total };
}

function share(covered: number, notCovered: number): Share {
  const lines = covered + notCovered;
  const coverage = lines === 0 ? 0 : Math.round((covered * 1_000) / lines) / 10;
  return { covered_lines: covered, not_covered_lines: notCovered, coverage };
}

/** Lines that follow each other as one range. */
function rangesOf(lines: readonly number[]): LineRange[] {
  const ranges: { start: { row: number }; end: { row: number } }[] = [];
  for (const row of lines) {
    const last = ranges.at(-1);
    if (last !== undefined && last.end.row === row - 1) last.end.row = row;
    else ranges.push({ start: { row }, end: { row } });
  }
  return ranges;
}

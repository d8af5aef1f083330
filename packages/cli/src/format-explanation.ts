/** A decision stage by stage, for people. */
import type { ExplainAnswer } from "@writ/contract/admin";
import { printable } from "./format-table.ts";

const MARKS = { passed: "passed ", denied: "DENIED ", skipped: "–      " } as const;

export function formatExplanation(answer: ExplainAnswer): string {
  const width = Math.max(0, ...answer.stages.map(({ stage }) => stage.length));
  const lines = answer.stages.map(({ stage, status, reason, detail }) => {
    // Where there is nothing to add, the detail of a denial is its reason.
    const prefix = reason === undefined || detail.startsWith(reason) ? "" : `${reason}: `;
    return `  ${MARKS[status]} ${stage.padEnd(width)}  ${prefix}${printable(detail)}`.trimEnd();
  });
  const reasons = answer.reasons.length === 0 ? "" : ` (${answer.reasons.join(", ")})`;
  const policy = answer.policyDigest === "" ? "" : `, policy ${answer.policyDigest.slice(0, 12)}`;
  return `${answer.decision}${reasons} on revision ${answer.revision}${policy}\n${lines.join("\n")}\n`;
}

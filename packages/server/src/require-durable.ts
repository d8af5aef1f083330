/** Production starts only on a database whose COMMIT means what the invariants rest on. */
import { checkDurability } from "@writ/db";
import type { Databases } from "./open-databases.ts";

/** The database may lose what it has acknowledged, or is not the primary. */
export class DurabilityError extends Error {
  constructor(findings: readonly string[]) {
    super(
      `The database is not durable enough for production:\n${findings.map((finding) => `  ${finding}`).join("\n")}`,
    );
    this.name = "DurabilityError";
  }
}

export async function requireDurable(databases: Databases): Promise<void> {
  const owner = databases.owner();
  try {
    const findings = await checkDurability(owner);
    if (findings.length > 0) throw new DurabilityError(findings.map(({ name, message }) => `${name}: ${message}`));
  } finally {
    await owner.close();
  }
}

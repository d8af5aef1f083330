import { describe, expect, test } from "vitest";
import { formatReport, type ReadyReport } from "./ready-report.ts";

const REPORT: ReadyReport = {
  engine: "pglite",
  gatewayUrl: "http://127.0.0.1:8484",
  adminUrl: "http://127.0.0.1:8485",
  tenantId: "t",
  token: "the-token-itself",
  tokenFile: ".writ/starter-token",
  adminKeyFile: ".writ/admin-key",
  notes: [],
  commands: [],
};

describe("a ready report", () => {
  test("shows the token to a terminal, and names its file anywhere else", () => {
    expect(formatReport(REPORT, { terminal: true }).split("\n")[2]).toBe("Token     the-token-itself");
    const piped = formatReport(REPORT, { terminal: false });
    expect(piped.split("\n")[2]).toBe("Token     in .writ/starter-token");
    expect(piped).not.toContain("the-token-itself");
  });

  test("names the file to a terminal when the token was made by an earlier start", () => {
    expect(formatReport({ ...REPORT, token: undefined }, { terminal: true })).toContain("in .writ/starter-token");
  });
});

import { expect, test } from "vitest";
import { claudeCommand, cursorConfig, shellWord } from "./connect-agent.ts";

const SERVER = { name: "writ-files", url: "http://127.0.0.1:8484/mcp/files" };

test("the command for Claude Code has the shell read the token from its file", () => {
  expect(claudeCommand(SERVER, "/srv/a b/token")).toBe(
    `claude mcp add --transport http writ-files http://127.0.0.1:8484/mcp/files --header "Authorization: Bearer $(cat '/srv/a b/token')"`,
  );
  expect(claudeCommand(SERVER, undefined)).toContain('"Authorization: Bearer $WRIT_TOKEN"');
});

test("the file for Cursor names the variable that holds the token", () => {
  expect(cursorConfig([SERVER])).toEqual({
    mcpServers: {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: this is what Cursor replaces.
      "writ-files": { url: SERVER.url, headers: { Authorization: "Bearer ${env:WRIT_TOKEN}" } },
    },
  });
});

test("a shell word cannot end its quotes", () => {
  expect(shellWord("plain/word.txt")).toBe("plain/word.txt");
  expect(shellWord("it's; $(rm)")).toBe(`'it'\\''s; $(rm)'`);
});

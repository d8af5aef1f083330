import { describe, expect, test } from "vitest";
import { compileFlags, type FlaggedTool } from "./flag-tools.ts";
import { hiddenCharacters, showHidden } from "./hidden-characters.ts";

const PINNED = [
  { upstream: "mail", name: "send_mail" },
  { upstream: "mail", name: "search" },
  { upstream: "files", name: "readFile" },
  { upstream: "own", name: "kept_here" },
];

function flagsOf(
  name: string,
  more: Partial<FlaggedTool> & {
    readonly listed?: readonly string[];
    readonly missing?: Readonly<Record<string, string>>;
  } = {},
): readonly string[] {
  const { listed = [], missing = {}, ...tool } = more;
  const flags = compileFlags({
    upstream: "own",
    listed: new Set([name, ...listed]),
    missing: new Map(Object.entries(missing)),
    pinned: PINNED,
  });
  return flags({ name, texts: [], signature: undefined, ...tool }).map(({ code, detail }) => `${code}: ${detail}`);
}

describe("a name", () => {
  test("that is like no other is not flagged", () => {
    expect(flagsOf("weather")).toEqual([]);
    expect(flagsOf("kept_here")).toEqual([]);
    expect(flagsOf("天気")).toEqual([]);
    expect(flagsOf("天気api")).toEqual([]);
    expect(flagsOf("météo")).toEqual([]);
  });

  const alike: readonly (readonly [string, string])[] = [
    ["a Cyrillic letter", "sеarch"],
    ["all letters of another script that has them", "ѕеаrсh"],
    ["fullwidth letters", "ｓｅａｒｃｈ"],
    ["mathematical letters", "𝗌𝖾𝖺𝗋𝖼𝗁"],
    ["another case", "Search"],
    ["a zero-width space", "sea\u200brch"],
    ["a digit for a letter", "send_mai1"],
    ["two letters that look like one", "send_rnail"],
  ];
  test.each(alike)("with %s looks like the one that it stands for", (_what, name) => {
    expect(flagsOf(name).some((flag) => /^look_alike: looks like mail\/(search|send_mail)/.test(flag))).toBe(true);
  });

  test("of two scripts is flagged, whatever it is like", () => {
    expect(flagsOf("weаther-is-unlike")).toEqual(["mixed_scripts: its name mixes Latin and Cyrillic"]);
  });

  test.each(["send_mails", "send_mal", "send-mail", "sendd_mail"])("one edit from another's is near it: %s", (name) => {
    expect(flagsOf(name)).toContain("near_name: is one character from mail/send_mail");
  });

  test("that two edits make is not near, nor is a short one", () => {
    expect(flagsOf("sned_mail")).toEqual([]);
    expect(flagsOf("get", { listed: ["set"] })).toEqual([]);
  });

  test("that another upstream has is flagged", () => {
    expect(flagsOf("search")).toEqual(["same_name: has the name of mail/search"]);
  });

  test("under which a tool is given that is gone is flagged", () => {
    const missing = { "the same": "old" };
    expect(flagsOf("renewed", { signature: "the same", missing })).toEqual([
      "renamed: is what was pinned as own/old, which is gone",
    ]);
    expect(flagsOf("renewed", { signature: "another", missing })).toEqual([]);
  });
});

describe("a text", () => {
  test.each([
    ["Before send_mail, call me.", "mail/send_mail"],
    ["Use SEND_MAIL.", "mail/send_mail"],
    ["Like `readFile`, but safer", "files/readFile"],
    ["Replaces mail/search", "mail/search"],
    ["Replaces mail.search.", "mail/search"],
    ["Replaces mail__search!", "mail/search"],
  ])("that names another upstream's tool is flagged: %s", (text, named) => {
    expect(flagsOf("weather", { texts: [text] })).toEqual([`names_other_tool: its definition names ${named}`]);
  });

  test.each(["Lets you search the weather.", "Sends mail.", "resend_mailing", "kept_here is mine"])(
    "of ordinary words, or about its own tools, is not flagged: %s",
    (text) => {
      expect(flagsOf("weather", { texts: [text] })).toEqual([]);
    },
  );

  test("about a tool that the upstream has too is about its own", () => {
    expect(flagsOf("weather", { texts: ["Before send_mail"], listed: ["send_mail"] })).toEqual([]);
  });

  const hidden: readonly (readonly [string, string])[] = [
    ["a zero-width space", "a\u200bb"],
    ["a direction override", "a\u202eb"],
    ["an isolate", "a\u2066b"],
    ["tag characters", "a\u{e0041}b"],
    ["a variation selector of no emoji", "a\ufe01b"],
    ["a supplement's variation selector", "a\u{e0101}b"],
    ["a soft hyphen", "a\u00adb"],
    ["a byte order mark", "a\ufeffb"],
    ["an escape", "a\u001bb"],
    ["a filler that is a letter", "a\u3164b"],
    ["a private character", "a\ue000b"],
    ["a joiner between letters that need none", "a\u200db"],
    ["a line separator", "a\u2028b"],
  ];
  test.each(hidden)("with %s is flagged, and it is written out", (_what, text) => {
    expect(hiddenCharacters([text])).toHaveLength(1);
    expect(showHidden(text)).toMatch(/^a\\u\{[0-9a-f]+\}b$/);
  });

  test.each([
    "⚠️ careful",
    "👩‍💻 works",
    "🇨🇭 flag",
    "1️⃣ first",
    "👍🏽",
    "می‌خواهم",
    "क्‍ष",
    "línea\n\tdos\r\n",
    "naïve café",
  ])("as people write it is not: %s", (text) => {
    expect(hiddenCharacters([text])).toEqual([]);
  });
});

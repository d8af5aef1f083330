import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const BIN = join(import.meta.dirname, "../../bin/rego.mjs");

let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "rego-command-"));
  await put(
    "a/a.rego",
    "package a\n\ndefault allow := false\n\nallow if {\n\tsome role in input.roles\n\trole == data.admins[_]\n}\n\nwho := input.name\n",
  );
  await put("a/data.json", '{"admins": ["root"], "big": 123456789012345678901234567890}');
  await put("a/deep/er/groups.yaml", "groups:\n  - one\n");
  await put("input.json", '{"roles": ["guest", "root"], "name": "Ada"}');
  await put("wrong.rego", "package b\np := )\n");
  await put("unsafe.rego", "package b\n\np if x\n");
  await put("loose.rego", "package b\np=1\n");
  await put(
    "tests/a_test.rego",
    'package a_test\n\nimport data.a\n\ntest_allows if a.allow with input as {"roles": ["root"]}\n\ntest_denies if {\n\trole := "guest"\n\ta.allow with input as {"roles": [role]}\n}\n\ntodo_test_later if false\n\ntest_prints if print("said")\n',
  );
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function put(name: string, text: string): Promise<void> {
  await mkdir(dirname(join(directory, name)), { recursive: true });
  await writeFile(join(directory, name), text);
}

interface Run {
  readonly code: number;
  readonly out: string;
  readonly note: string;
}

function rego(args: readonly string[], input = ""): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [BIN, ...args], { cwd: directory }, (error, out, note) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, out, note });
    });
    child.stdin?.end(input);
  });
}

describe("rego eval", () => {
  test("prints what a query is, in the shape of OPA", async () => {
    const { code, out } = await rego(["eval", "-d", "a", "-i", "input.json", "data.a.allow"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      result: [{ expressions: [{ value: true, text: "data.a.allow", location: { row: 1, col: 1 } }] }],
    });
  });

  test("reads folders with their data, big numbers exactly and YAML below the names of its folders", async () => {
    const run = await rego(["eval", "-d", "a", "-f", "raw", "[data.big, data.deep.er.groups, data.admins]"]);
    expect(run.out).toBe('[123456789012345678901234567890,["one"],["root"]]\n');
  });

  test("puts a file below the path that is given", async () => {
    const run = await rego(["eval", "--data", "x.y:input.json", "--format", "raw", "data.x.y.name"]);
    expect(run.out).toBe("Ada\n");
  });

  test("prints bindings as a table", async () => {
    const run = await rego(["eval", "-I", "-f", "pretty", "some i; x := input[i]; x > 1"], "[1, 2, 3]");
    expect(run.out.split("\n").filter((line) => line.includes("2")).length).toBe(2);
    expect(run.code).toBe(0);
  });

  test.each<[string, readonly string[], number]>([
    ["an undefined query is 0", ["input.x"], 0],
    ["an undefined query with --fail is 1", ["--fail", "input.x"], 1],
    ["a defined query with --fail is 0", ["--fail", "1"], 0],
    ["a defined query with --fail-defined is 1", ["--fail-defined", "1"], 1],
    ["an undefined query with --fail-defined is 0", ["--fail-defined", "input.x"], 0],
    ["an error of a built-in is 0", ["1 / 0"], 0],
    ["an error of a built-in with --strict-builtin-errors is 2", ["--strict-builtin-errors", "1 / 0"], 2],
    ["--fail and --fail-defined are 1", ["--fail", "--fail-defined", "1"], 1],
    ["a module that is wrong is 2", ["-d", "wrong.rego", "1"], 2],
    ["a query that is wrong is 2", ["1 +"], 2],
    ["a file that is not there is 2", ["-d", "nowhere", "1"], 2],
    ["no query is 1", [], 1],
    ["a format that is none is 1", ["-f", "xml", "1"], 1],
    ["--partial is 1", ["--partial", "1"], 1],
    ["an option that nobody has is 1", ["--nonsense", "1"], 1],
    [
      "a query that takes too long is 2",
      ["--timeout", "1ms", "count([x | n := numbers.range(1, 2000); x := n[_] + n[_]])"],
      2,
    ],
  ])("the exit code of %s", async (_, args, code) => {
    expect((await rego(["eval", ...args])).code).toBe(code);
  });

  test("prints errors in the shape of OPA, and says what to do", async () => {
    const json = await rego(["eval", "-d", "wrong.rego", "data.b.p"]);
    expect(JSON.parse(json.out)).toMatchObject({
      errors: [{ code: "rego_parse_error", location: { file: "wrong.rego", row: 2, col: 6 } }],
    });
    const missing = await rego(["eval", "-d", "nowhere", "1"]);
    expect(missing.note).toContain("there is no such file or folder. Check the path.");
    const none = await rego(["eval"]);
    expect(none.note).toContain("Give one query");
  });

  test("explains which rules ran", async () => {
    const run = await rego([
      "eval",
      "-d",
      "a",
      "-i",
      "input.json",
      "-f",
      "pretty",
      "--explain",
      "full",
      "data.a.allow",
    ]);
    expect(run.out).toContain("a/a.rego:5: data.a.allow held = true");
    expect(run.out).toContain('a/a.rego:6: held some role in input.roles (role = "root")');
  });

  test("names what stands in a package, and what is imported", async () => {
    const args = [
      "eval",
      "-d",
      "a",
      "-i",
      "input.json",
      "-f",
      "raw",
      "--package",
      "a",
      "--import",
      "input.name as named",
    ];
    expect((await rego([...args, "[allow, who, named]"])).out).toBe('[true,"Ada","Ada"]\n');
    expect((await rego(["eval", "-d", "a", "allow"])).code).toBe(2);
  });

  test("says of an option of OPA's that it does not have what to do instead", async () => {
    expect((await rego(["eval", "--partial", "1"])).note).toBe(
      "rego eval: --partial is not offered: there is no partial evaluation; ask again once all inputs are known.\n",
    );
    for (const [command, option] of [
      ["check", "--strict"],
      ["test", "--bundle"],
      ["fmt", "--drop-v0-imports"],
    ] as const) {
      expect(await rego([command, option, "a"])).toMatchObject({
        code: 1,
        note: expect.stringContaining("not offered"),
      });
    }
  });

  test("adds coverage", async () => {
    const run = await rego(["eval", "-d", "a", "-i", "input.json", "--coverage", "data.a.allow"]);
    expect(JSON.parse(run.out)).toMatchObject({
      coverage: { files: { "a/a.rego": { covered: [{ start: { row: 5 }, end: { row: 7 } }] } } },
    });
  });
});

describe("rego test", () => {
  test("shows the line at which a test failed, with its values, and exits with 2", async () => {
    const run = await rego(["test", "a", "tests"]);
    expect(run.code).toBe(2);
    expect(run.out).toContain(
      'tests/a_test.rego:9: data.a_test.test_denies: a.allow with input as {"roles": [role]} (role = "guest")',
    );
    expect(run.out).toContain('a/a.rego:7: data.a.allow: role == data.admins[_] (role = "guest")');
    expect(run.out).toContain("PASS: 2/4\nFAIL: 1/4\nSKIPPED: 1/4\n");
  });

  test("runs the tests that are asked for, and says what print said", async () => {
    const run = await rego(["test", "a", "tests", "-v", "--run", "allows|prints"]);
    expect(run.code).toBe(0);
    expect(run.out).toContain("data.a_test.test_allows: PASS\ndata.a_test.test_prints: PASS\n  said\n");
    expect(run.out).toContain("PASS: 2/2");
  });

  test("exits with 2 for a skipped test, unless told not to", async () => {
    expect((await rego(["test", "a", "tests", "-r", "later"])).code).toBe(2);
    expect((await rego(["test", "a", "tests", "-r", "later", "-z"])).code).toBe(0);
  });

  test("prints results in the shape of OPA", async () => {
    const run = await rego(["test", "a", "tests", "--format", "json"]);
    expect(JSON.parse(run.out)).toMatchObject([
      { location: { file: "tests/a_test.rego", row: 5 }, package: "data.a_test", name: "test_allows" },
      { name: "test_denies", fail: true },
      { name: "todo_test_later", skip: true },
      { name: "test_prints", output: "said" },
    ]);
  });

  test("prints coverage by line in the shape of OPA, and fails below the threshold", async () => {
    const args = ["test", "a", "tests", "-r", "allows", "--coverage"];
    const run = await rego(args);
    expect(run.code).toBe(0);
    expect(JSON.parse(run.out)).toMatchObject({
      files: {
        "a/a.rego": {
          covered: [{ start: { row: 5 }, end: { row: 7 } }],
          not_covered: [
            { start: { row: 3 }, end: { row: 3 } },
            { start: { row: 10 }, end: { row: 10 } },
          ],
          covered_lines: 3,
          not_covered_lines: 2,
          coverage: 60,
        },
      },
    });
    const below = await rego([...args, "--threshold", "99"]);
    expect(below.code).toBe(2);
    expect(below.note).toContain("a/a.rego:3\n");
    expect((await rego([...args, "--threshold", "10"])).code).toBe(0);
  });

  test("runs tests as often as it is told, and fails when there are none where it is told to", async () => {
    const run = await rego(["test", "a", "tests", "-r", "allows", "--count", "3"]);
    expect(run).toMatchObject({ code: 0, out: "PASS: 1/1\nPASS: 1/1\nPASS: 1/1\n" });
    expect((await rego(["test", "a"])).code).toBe(0);
    expect((await rego(["test", "a", "--fail-on-empty"])).code).toBe(1);
    expect((await rego(["test", "a", "--count", "0"])).code).toBe(1);
  });

  test("exits with 1 when the modules are wrong, or no path is given", async () => {
    expect((await rego(["test", "unsafe.rego"])).code).toBe(1);
    expect((await rego(["test"])).code).toBe(1);
  });
});

describe("rego fmt", () => {
  test("prints what comes on standard input, formatted", async () => {
    expect((await rego(["fmt"], "package a\np=1")).out).toBe("package a\n\np := 1\n");
  });

  test("lists, shows and writes what is not formatted", async () => {
    await put("to-write/loose.rego", "package b\np=1\n");
    expect((await rego(["fmt", "--list", "to-write", "a"])).out).toBe("to-write/loose.rego\n");
    expect((await rego(["fmt", "--list", "--fail", "to-write"])).code).toBe(2);
    expect((await rego(["fmt", "--diff", "to-write"])).out).toBe(
      "--- to-write/loose.rego\n+++ to-write/loose.rego\n@@ -1,2 +1,3 @@\n package b\n-p=1\n+\n+p := 1\n",
    );
    // As with OPA, only the first of --list, --diff, --fail and --write counts.
    expect((await rego(["fmt", "-l", "-d", "-w", "to-write"])).out).toBe("to-write/loose.rego\n");
    expect((await rego(["fmt", "-d", "-w", "--fail", "to-write"])).code).toBe(2);
    expect(await rego(["fmt", "-w", "--fail", "to-write"])).toEqual({
      code: 2,
      out: "",
      note: "to-write/loose.rego is not formatted\n",
    });
    expect(await readFile(join(directory, "to-write/loose.rego"), "utf8")).toBe("package b\np=1\n");
    expect(await rego(["fmt", "-w", "to-write"])).toEqual({ code: 0, out: "", note: "" });
    expect(await readFile(join(directory, "to-write/loose.rego"), "utf8")).toBe("package b\n\np := 1\n");
    expect(await rego(["fmt", "-l", "--fail", "to-write"])).toEqual({ code: 0, out: "", note: "" });
  });

  test("exits with 1 when there is no such file, or standard input is wrong", async () => {
    expect((await rego(["fmt", "nowhere"])).code).toBe(1);
    expect((await rego(["fmt"], "package a\np := )")).code).toBe(1);
  });

  test("exits with 2 for a module that is wrong", async () => {
    const run = await rego(["fmt", "wrong.rego"]);
    expect(run.code).toBe(2);
    expect(run.note).toContain("wrong.rego:2:6: rego_parse_error");
  });
});

describe("rego check", () => {
  test("looks at modules only, not at data", async () => {
    await put("twice/a.json", '{"x": 1}');
    await put("twice/b.json", '{"x": 2}');
    await put("twice/c.rego", "package c\n");
    expect((await rego(["check", "twice"])).code).toBe(0);
    expect((await rego(["eval", "-d", "twice", "1"])).code).toBe(2);
  });

  test("says nothing of modules that are right", async () => {
    expect(await rego(["check", "a"])).toEqual({ code: 0, out: "", note: "" });
  });

  test("exits with 1 and names the places of what is wrong", async () => {
    const run = await rego(["check", "unsafe.rego"]);
    expect(run.code).toBe(1);
    expect(run.note).toContain("unsafe.rego:3:6: rego_unsafe_var_error: var x is unsafe");
    const json = await rego(["check", "--format", "json", "unsafe.rego"]);
    expect(JSON.parse(json.note)).toMatchObject({ errors: [{ location: { row: 3, col: 6 } }] });
    expect(json.out).toBe("");
  });
});

describe("rego", () => {
  test("says which commands there are, and refuses others", async () => {
    expect((await rego([])).out).toContain("evaluates a query");
    expect(await rego(["evil"])).toMatchObject({ code: 1, note: expect.stringContaining("eval, test, fmt, check") });
    expect(await rego(["test", "--nonsense"])).toMatchObject({ code: 1, note: expect.stringContaining("--help") });
    expect((await rego(["fmt", "--help"])).out).toContain("--write");
  });
});

import { Ajv } from "ajv";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Config, ConfigError } from "./config.ts";
import { describeConfig } from "./describe-config.ts";
import { checkValue, loadConfig } from "./load-config.ts";
import { environmentName, listSettings } from "./settings.ts";

function load(text: string | undefined, environment: Record<string, string> = {}): Config {
  return loadConfig({
    file: text === undefined ? undefined : { path: "/srv/writ/writ.yaml", text },
    environment,
    directory: "/home/me",
  });
}

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((problem) => `${problem.place}: ${problem.message}`);
    throw error;
  }
  return [];
}

const PRODUCTION = {
  WRIT_MODE: "production",
  WRIT_DATABASE_URL: "postgres://db.example/writ?sslmode=verify-full",
  WRIT_GATEWAY_PUBLIC_URL: "https://writ.example",
  WRIT_GATEWAY_ALLOWED_HOSTS: "writ.example",
  WRIT_CONTROL_PUBLIC_URL: "https://admin.writ.example",
  WRIT_CONTROL_ALLOWED_HOSTS: "admin.writ.example",
  WRIT_CHECKPOINTS_FILE: "/var/lib/checkpoints/writ.txt",
  WRIT_KEYS_CHECKPOINT_KEY_FILE: "/run/secrets/checkpoint",
  WRIT_KEYS_MASTER_KEY_FILE: "/run/secrets/master",
};

describe("configuration", () => {
  test("nothing at all gives a development instance on the embedded database", () => {
    const config = load(undefined);
    expect(config.mode).toBe("development");
    expect(config.dataDir).toBe("/home/me/.writ");
    expect(config.database.url).toBeUndefined();
    expect([config.gateway.port, config.control.port]).toEqual([8484, 8485]);
    expect(config.gateway.audience).toBe("http://127.0.0.1:8484");
    expect(config.checkpoints.file.startsWith(`${config.dataDir}/`)).toBe(false);
  });

  test("the environment wins over the file and the file over the defaults", () => {
    const config = load("gateway:\n  port: 9000\n  host: 0.0.0.0\n", { WRIT_GATEWAY_PORT: "9001" });
    expect(config.gateway.port).toBe(9001);
    expect(config.gateway.host).toBe("0.0.0.0");
    expect(config.control.port).toBe(8485);
  });

  test("relative paths of the file start at the file", () => {
    expect(load("dataDir: data\n").dataDir).toBe("/srv/writ/data");
    expect(load("{}\n", { WRIT_DATA_DIR: "data" }).dataDir).toBe("/home/me/data");
  });

  test("an unknown setting is refused with its line, its column and the likely name", () => {
    expect(problemsOf(() => load("mode: development\ngateway:\n  prot: 9000\n"))).toEqual([
      "/srv/writ/writ.yaml:3:3: unknown setting gateway.prot; did you mean gateway.port?",
    ]);
  });

  test("a slip in an environment variable is refused, a platform's own variable is not", () => {
    expect(problemsOf(() => load(undefined, { WRIT_GATEWAY_PROT: "1" }))).toEqual([
      "WRIT_GATEWAY_PROT: unknown setting; did you mean WRIT_GATEWAY_PORT?",
    ]);
    expect(
      problemsOf(() => load(undefined, { WRIT_PORT_8484_TCP: "tcp://10.0.0.1:8484", WRIT_SERVICE_HOST: "x" })),
    ).toEqual([]);
  });

  test.each([
    ["gateway:\n  port: '9000'\n", "must be a whole number"],
    ["gateway:\n  port: 70000\n", "must be a whole number"],
    ["gateway: 3\n", "must be a mapping"],
    ["mode: prod\n", "must be one of development, production"],
    ["mode: development\nmode: production\n", "unique"],
    ["gateway:\n  allowedHosts: writ.example\n", "must be a list"],
    ["keys:\n  masterKey: abc\n", "is a secret"],
    ["- a\n", "must be a mapping"],
    ["gateway:\n  publicUrl: ftp://x\n", "must be an http or https URL"],
  ])("%j is refused", (text, message) => {
    expect(problemsOf(() => load(text)).join("\n")).toContain(message);
  });

  test("every problem is said at once", () => {
    expect(problemsOf(() => load("mode: prod\nportt: 3\n", { WRIT_GATEWAY_PORT: "x" })).length).toBe(3);
  });

  test("production starts when everything is given", () => {
    expect(load(undefined, PRODUCTION).mode).toBe("production");
  });

  test.each(Object.keys(PRODUCTION).filter((name) => name !== "WRIT_MODE"))(
    "R-RUN-2 production does not start without %s",
    (name) => {
      const { [name as keyof typeof PRODUCTION]: _left, ...rest } = PRODUCTION;
      expect(problemsOf(() => load(undefined, rest)).length).toBeGreaterThan(0);
    },
  );

  test.each([
    ["WRIT_GATEWAY_PUBLIC_URL", "http://writ.example"],
    ["WRIT_DATABASE_URL", "postgres://db.example/writ"],
  ])("production refuses %s = %s", (name, value) => {
    expect(problemsOf(() => load(undefined, { ...PRODUCTION, [name]: value })).length).toBe(1);
  });

  test("trap-56 production keeps secrets out of the environment where stdio upstreams run", () => {
    const runner = { ...PRODUCTION, WRIT_UPSTREAMS_STDIO_RUNNER: "sudo,-n,-u,mcp,--" };
    expect(load(undefined, runner).upstreams.stdioRunner.length).toBe(5);
    const { WRIT_KEYS_MASTER_KEY_FILE: _file, ...rest } = runner;
    expect(problemsOf(() => load(undefined, { ...rest, WRIT_KEYS_MASTER_KEY: "k" }))).toEqual([
      expect.stringContaining("use keys.masterKeyFile"),
    ]);
    const url = "postgres://writ:secret@db.example/writ?sslmode=verify-full";
    expect(problemsOf(() => load(undefined, { ...runner, WRIT_DATABASE_URL: url }))).toEqual([
      expect.stringMatching(/^WRIT_DATABASE_URL: (?!.*secret)/),
    ]);
    const { WRIT_DATABASE_URL: _url, ...others } = runner;
    expect(load(`database:\n  url: ${url}\n`, others).database.url).toBe(url);
  });

  test("a value is what another validator of JSON Schema calls valid", () => {
    const ajv = new Ajv({ strict: false });
    const value = fc.oneof(
      fc.jsonValue(),
      fc.integer({ min: -1, max: 70_000_000 }),
      fc.constantFrom("", "on", "off", "production", "info", "NaN"),
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 8_484.5, 2 ** 53),
      fc.array(fc.oneof(fc.string(), fc.integer()), { maxLength: 66, size: "max" }),
    );
    for (const setting of listSettings()) {
      const isValid = ajv.compile(setting.schema);
      const { minimum = 0, maximum = 0 } = setting.schema as { readonly minimum?: number; readonly maximum?: number };
      const edges = [minimum - 1, minimum, maximum, maximum + 1].map((edge): [unknown] => [edge]);
      fc.assert(
        fc.property(value, (given) => {
          expect(checkValue(setting, given) === undefined).toBe(isValid(given));
        }),
        { examples: edges },
      );
    }
  });

  test("every setting has an environment variable of its own and a place on the reference page", () => {
    const page = describeConfig();
    const names = listSettings().map((setting) => setting.environment);
    expect(new Set(names).size).toBe(names.length);
    for (const { environment } of listSettings()) expect(page).toContain(`\`${environment}\``);
    expect(environmentName("gateway.publicUrl")).toBe("WRIT_GATEWAY_PUBLIC_URL");
  });
});

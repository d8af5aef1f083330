/**
 * Who may import whom, as rules for dependency-cruiser. The table below is the whole of it: a package that it does not
 * name may import nothing of ours. Run by tools/layers.ts, which also fails when no module was read.
 * Imports by package name (`@writ/db`) resolve through `exports` to the source, so that they are judged like paths.
 */

/** For each package: which of ours its sources may import, besides themselves. */
const MAY_IMPORT = {
  contract: [],
  token: ["contract"],
  rego: [],
  policy: ["contract", "rego"],
  core: ["contract", "token", "policy"],
  audit: ["contract"],
  db: [],
  history: ["contract", "audit", "db"],
  runtime: ["contract", "db"],
  gateway: ["contract", "token", "rego", "policy", "core", "audit", "db", "history", "runtime"],
  control: ["contract", "token", "rego", "policy", "core", "audit", "db", "history", "runtime"],
  server: ["contract", "db", "history", "runtime", "gateway", "control"],
  sdk: ["contract", "token"],
  // `server` only lazily: see cli-loads-server-lazily.
  cli: ["contract", "sdk", "token", "core", "policy", "audit", "server"],
  testkit: ["contract", "token", "rego", "policy", "core", "audit", "db", "history", "runtime", "gateway", "control"],
};

/** Packages whose sources run without Node. */
const WITHOUT_NODE = ["contract", "token", "rego", "policy", "core"];

/** The folder of a package in WITHOUT_NODE that is a command and not the library; nothing else of it imports the folder. */
const COMMAND_WITH_NODE = "^packages/rego/src/command/";

/** What is not part of the product: tests, the suites that adapters share, and what they are driven by. */
const TEST_FILES = "[.](test|contract|fixture)[.]ts$";

const layers = Object.entries(MAY_IMPORT).map(([name, allowed]) => ({
  name: `layer-${name}`,
  severity: "error",
  comment: `packages/${name} may import ${allowed.length === 0 ? "nothing of ours" : allowed.join(", ")}.`,
  from: { path: `^packages/${name}/`, pathNot: TEST_FILES },
  to: { path: "^packages/", pathNot: `^packages/(${[name, ...allowed].join("|")})/` },
}));

export default {
  forbidden: [
    ...layers,
    {
      name: "package-outside-the-table",
      severity: "error",
      comment: "Every package has a row in the table of layers.",
      from: { path: "^packages/", pathNot: `^packages/(${Object.keys(MAY_IMPORT).join("|")})/` },
      to: {},
    },
    {
      name: "test-of-a-plane-stays-in-its-plane",
      severity: "error",
      comment: "Not even a test of the gateway imports control, nor the other way round; test/ drives both.",
      from: { path: "^packages/(gateway|control)/" },
      to: { path: "^packages/(gateway|control)/", pathNot: "^packages/$1/" },
    },
    {
      name: "testkit-in-product",
      severity: "error",
      comment: "Fakes are imported by tests only.",
      from: { path: "^(packages|bench|examples)/", pathNot: `^packages/testkit/|^bench/|${TEST_FILES}` },
      to: { path: "^packages/testkit/" },
    },
    {
      name: "test-in-product",
      severity: "error",
      comment: "Nothing that ships imports a test.",
      from: { pathNot: `${TEST_FILES}|^test/|^packages/testkit/|^tools/` },
      to: { path: `${TEST_FILES}|^test/` },
    },
    {
      name: "verify-stands-alone",
      severity: "error",
      comment: "An auditor reads audit/verify by itself: it imports nothing of ours.",
      from: { path: "^packages/audit/src/verify/", pathNot: TEST_FILES },
      to: { path: "^packages/", pathNot: "^packages/audit/src/verify/" },
    },
    {
      name: "without-node",
      severity: "error",
      comment: `${WITHOUT_NODE.join(", ")} run without Node, but for rego's command and its adapter to Node.`,
      from: {
        path: `^packages/(${WITHOUT_NODE.join("|")})/src/`,
        pathNot: `${COMMAND_WITH_NODE}|^packages/rego/src/node[.]ts$|${TEST_FILES}`,
      },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "library-knows-no-command",
      severity: "error",
      comment: "The command needs Node, so nothing of the library imports it.",
      from: { path: "^packages/", pathNot: `${COMMAND_WITH_NODE}|^packages/rego/bin/|${TEST_FILES}` },
      to: { path: COMMAND_WITH_NODE },
    },
    {
      name: "sdk-root-without-node",
      severity: "error",
      comment: "The root of the SDK runs without Node.",
      from: { path: "^packages/sdk/src/[^/]+$", pathNot: TEST_FILES },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "cli-loads-server-lazily",
      severity: "error",
      comment: "The CLI loads the server with import() where a command needs it, so that the others start at once.",
      from: { path: "^packages/cli/", pathNot: TEST_FILES },
      to: { path: "^packages/server/", dynamic: false, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "protocols-reach-no-upstream",
      severity: "error",
      comment: "No protocol adapter can reach an upstream or the journal by itself: only handleCall does.",
      from: { path: "^packages/gateway/src/protocols/", pathNot: TEST_FILES },
      to: { path: "^packages/gateway/src/(upstream|journal|store)/" },
    },
    {
      name: "protocols-open-no-connection",
      severity: "error",
      comment: "No protocol adapter speaks to the network or starts a process by itself.",
      from: { path: "^packages/gateway/src/protocols/", pathNot: TEST_FILES },
      to: {
        path: "(^|/)(net|tls|http2|dgram|child_process|worker_threads)$|(^|/)node_modules/(undici|postgres)/|^(undici|postgres)$",
      },
    },
    {
      name: "protocol-knows-no-other",
      severity: "error",
      comment: "Protocols share nothing but what stands beside them.",
      from: { path: "^packages/gateway/src/protocols/([^/]+)/", pathNot: TEST_FILES },
      to: { path: "^packages/gateway/src/protocols/[^/]+/", pathNot: "^packages/gateway/src/protocols/$1/" },
    },
    {
      name: "only-compose-builds-the-gateway",
      severity: "error",
      comment: "compose.ts builds every object; nothing but main.ts and the package's index reaches it.",
      from: {
        path: "^packages/gateway/src/",
        pathNot: `^packages/gateway/src/(main|index|compose)[.]ts$|${TEST_FILES}`,
      },
      to: { path: "^packages/gateway/src/(main|compose)[.]ts$" },
    },
    {
      name: "cycle",
      severity: "error",
      comment: "Modules that need each other are one module, or need a third.",
      from: {},
      to: { circular: true },
    },
    {
      name: "unresolved",
      severity: "error",
      comment: "An import that cannot be resolved is not judged by any rule, so it is an error by itself.",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "/fixtures/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
      mainFields: ["module", "main", "types"],
      extensions: [".ts", ".mjs", ".js", ".json"],
    },
  },
};

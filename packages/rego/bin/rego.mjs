#!/usr/bin/env node
/**
 * The `rego` command. Plain JavaScript, because Node before 22.19 does not load the TypeScript that all else is: such
 * a Node runs this file again with the Node that this installation pins, and is then only its shell. It does nothing
 * else; the command is src/command/main.ts.
 */
import { spawn } from "node:child_process";
import module, { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const EXIT_FAILURE = 2;

if (canRun()) {
  // Compiled code is kept beside the dependencies, where only who installed it can write: a start takes half the time.
  module.enableCompileCache?.(fileURLToPath(new URL("../../../node_modules/.cache/rego", import.meta.url)));
  const { main } = await import("../src/command/main.ts");
  await main();
} else {
  runPinned();
}

/** Whether this Node loads TypeScript and is recent enough for everything else. */
function canRun() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const recent = major > 22 || (major === 22 && minor >= 19);
  return recent && process.features.typescript !== undefined && process.features.typescript !== false;
}

function runPinned() {
  const node = findPinned();
  if (node === undefined) {
    process.stderr.write(
      `rego: Node ${process.versions.node} is too old, and the Node that comes with it is not installed for ` +
        `${process.platform}-${process.arch}. Run npm ci, or use Node 22.19 or later.\n`,
    );
    process.exitCode = EXIT_FAILURE;
    return;
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well, and a second signal would end it at once instead of draining.
      if (signal === "SIGINT" && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  child.on("error", (error) => {
    process.stderr.write(`rego: ${node} cannot be run: ${error.message}\n`);
    process.exitCode = EXIT_FAILURE;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) {
      process.exitCode = code ?? EXIT_FAILURE;
      return;
    }
    // Ends as the child has ended, so that a shell sees the same.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** Path of the pinned Node: a package of its own for each platform. */
function findPinned() {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const name = process.platform === "win32" ? "node.exe" : "node";
  try {
    return createRequire(import.meta.url).resolve(`node-${platform}-${process.arch}/bin/${name}`);
  } catch {
    // Not installed for this platform: the caller says what to do.
    return undefined;
  }
}

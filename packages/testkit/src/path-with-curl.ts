/** Documents call `curl`, which a machine may not have: then ours stands in. */
import { access, chmod, constants, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The search path for commands, with a `curl` on it. */
export async function pathWithCurl(path: string): Promise<string> {
  for (const directory of path.split(delimiter)) {
    const found = access(join(directory, "curl"), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (await found) return path;
  }
  const directory = await mkdtemp(join(tmpdir(), "writ-curl-"));
  const script = join(directory, "curl");
  const program = fileURLToPath(new URL("./bin/curl.ts", import.meta.url));
  await writeFile(script, `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`);
  await chmod(script, 0o700);
  return `${directory}${delimiter}${path}`;
}

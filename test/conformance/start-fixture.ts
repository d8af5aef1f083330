/** Starts one of the fixture servers, which are processes of their own. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Fixture {
  readonly url: string;
  end(): void;
}

export async function startFixture(kind: "session" | "stateless"): Promise<Fixture> {
  const file = fileURLToPath(new URL(`./${kind}-fixture.ts`, import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout?.setEncoding("utf8").once("data", (text: string) => resolve(text.trim()));
    child.once("exit", () => reject(new Error(`the ${kind} fixture ended`)));
  });
  return { url: `http://localhost:${port}/mcp`, end: () => void child.kill("SIGKILL") };
}

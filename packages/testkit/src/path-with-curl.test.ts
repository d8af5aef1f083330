import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { pathWithCurl } from "./path-with-curl.ts";

const run = promisify(execFile);

test("a machine without curl gets one that sends headers and body, and prints the answer", async () => {
  const server = createServer((request, response) => {
    request.setEncoding("utf8");
    let body = "";
    request.on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => response.end(`${request.method} ${request.url} ${request.headers["x-a"]} ${body}`));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  const { port } = server.address() as AddressInfo; // of a TCP listener
  const url = `http://127.0.0.1:${port}/p`;

  const none = "/nowhere";
  const [directory = ""] = (await pathWithCurl(none)).split(":");
  const curl = (...words: string[]) => run(`${directory}/curl`, words);
  expect((await curl("-s", url, "-H", "X-A: b:c", "-d", "{}")).stdout).toBe("POST /p b:c {}");
  expect((await curl("-sS", url, "-H", "X-A: 1")).stdout).toBe("GET /p 1 ");
  expect((await curl("-X", "DELETE", url)).stdout).toBe("DELETE /p undefined ");
  const piped = run("sh", ["-c", `printf '{\n}\n' | ${directory}/curl -d @- ${url}`]);
  expect((await piped).stdout).toBe("POST /p undefined {}");
  await expect(curl(url, "--compressed")).rejects.toThrow("--compressed is not known here");
  await expect(curl("-s", "http://127.0.0.1:1/")).rejects.toMatchObject({ code: 7 });
  expect(await pathWithCurl(directory)).toBe(directory);
});

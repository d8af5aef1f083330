/**
 * `node curl.ts URL -s -X METHOD -H 'Name: value' -d BODY`: as much of curl as our documents use, for machines that have
 * none. `-d @-` takes the body from standard input, without its line feeds, as curl does; `-i` shows the head of the
 * answer. Any other option is refused.
 */
import { request } from "node:http";
import { text } from "node:stream/consumers";

const headers: [name: string, value: string][] = [];
let url: string | undefined;
let method: string | undefined;
let body: string | undefined;
let showsHead = false;

const words = process.argv.slice(2);
const given = (option: string): string => {
  const value = words.shift();
  if (value === undefined) throw new TypeError(`${option} needs a value`);
  return value;
};
for (let word = words.shift(); word !== undefined; word = words.shift()) {
  if (/^-[sS]+$/.test(word)) continue;
  else if (word === "-i") showsHead = true;
  else if (word === "-X") method = given(word);
  else if (word === "-d") body = given(word);
  else if (word === "-H") {
    const [name = "", ...value] = given(word).split(":");
    headers.push([name.trim(), value.join(":").trim()]);
  } else if (word.startsWith("-") || url !== undefined) throw new TypeError(`${word} is not known here`);
  else url = word;
}
if (url === undefined) throw new TypeError("no URL");
if (body === "@-") body = (await text(process.stdin)).replaceAll("\n", "");

method ??= body === undefined ? "GET" : "POST";
const call = request(url, { method, headers: Object.fromEntries(headers) });
call.on("response", (response) => {
  if (showsHead) {
    const { statusCode, statusMessage, rawHeaders } = response;
    const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
    process.stdout.write(`${[`HTTP/1.1 ${statusCode} ${statusMessage}`, ...lines].join("\r\n")}\r\n\r\n`);
  }
  response.pipe(process.stdout);
});
call.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 7; // as curl's, when it cannot connect
});
call.end(body);

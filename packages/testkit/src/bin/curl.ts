/**
 * `node curl.ts URL -s -H 'Name: value' -d BODY`: as much of curl as our documents use, for machines that have none. Any
 * other option is refused.
 */
import { request } from "node:http";

const headers: [name: string, value: string][] = [];
let url: string | undefined;
let body: string | undefined;

const words = process.argv.slice(2);
const given = (option: string): string => {
  const value = words.shift();
  if (value === undefined) throw new TypeError(`${option} needs a value`);
  return value;
};
for (let word = words.shift(); word !== undefined; word = words.shift()) {
  if (word === "-s") continue;
  else if (word === "-d") body = given(word);
  else if (word === "-H") {
    const [name = "", ...value] = given(word).split(":");
    headers.push([name.trim(), value.join(":").trim()]);
  } else if (word.startsWith("-") || url !== undefined) throw new TypeError(`${word} is not known here`);
  else url = word;
}
if (url === undefined) throw new TypeError("no URL");

const call = request(url, { method: body === undefined ? "GET" : "POST", headers: Object.fromEntries(headers) });
call.on("response", (response) => response.pipe(process.stdout));
call.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 7; // as curl's, when it cannot connect
});
call.end(body);

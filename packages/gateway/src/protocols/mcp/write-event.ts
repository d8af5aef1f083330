/** A message as a server-sent event. Its text is framed, never re-serialised. */

/** Line ends between the tokens of a JSON text become further `data` lines, which a reader joins again. */
export function writeEvent(json: string, id?: string): string {
  const data = /[\r\n]/.test(json) ? json.replaceAll(/\r\n|\r|\n/g, "\ndata: ") : json;
  return `${id === undefined ? "" : `id: ${id}\n`}event: message\ndata: ${data}\n\n`;
}

/** Reads the fenced blocks of a Markdown page with their info strings, and says nothing about what they mean. */

export interface FencedBlock {
  readonly language: string;
  /** What follows the language: `run exit=1 says="Unknown tool"` gives run → "", exit → "1", says → "Unknown tool". */
  readonly info: ReadonlyMap<string, string>;
  readonly text: string;
  readonly line: number;
}

export function readFencedBlocks(markdown: string): readonly FencedBlock[] {
  const blocks: FencedBlock[] = [];
  let open: { language: string; info: Map<string, string>; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split("\n").entries()) {
    if (open === undefined) {
      const fence = /^```(\w+)(?: (.*))?$/.exec(line);
      if (fence === null) continue;
      const info = new Map<string, string>();
      for (const [, name = "", quoted, plain] of (fence[2] ?? "").matchAll(/([\w-]+)(?:=(?:"([^"]*)"|(\S+)))?/g)) {
        info.set(name, quoted ?? plain ?? "");
      }
      open = { language: fence[1] ?? "", info, line: index + 1, lines: [] };
    } else if (line === "```") {
      blocks.push({ language: open.language, info: open.info, line: open.line, text: `${open.lines.join("\n")}\n` });
      open = undefined;
    } else {
      open.lines.push(line);
    }
  }
  return blocks;
}

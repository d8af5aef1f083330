/** Tells the demo's story and keeps count of what was expected. Colour and pauses only on a terminal. */
import { setTimeout as wait } from "node:timers/promises";
import type { CliContext } from "../cli-context.ts";

const PAUSE_MS = 4_000;

export interface Narrator {
  /** Begins a chapter. */
  chapter(title: string, lines?: readonly string[]): Promise<void>;
  /** What was done, as it would be typed. */
  did(what: string): Promise<void>;
  say(line: string): Promise<void>;
  /** One expectation: `held` decides about the end of the demo. */
  expect(sentence: string, held: boolean, seen?: string): Promise<void>;
  progress(text: string): void;
  failures(): readonly string[];
  expectations(): number;
}

export function createNarrator(context: CliContext): Narrator {
  const { terminal } = context;
  const coloured = terminal.output && (context.environment["NO_COLOR"] ?? "") === "";
  const paint = (code: number, text: string): string => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
  const failures: string[] = [];
  let chapters = 0;
  let expectations = 0;
  return {
    async chapter(title, lines = []) {
      if (terminal.output && chapters > 0) await wait(PAUSE_MS);
      chapters += 1;
      await context.out(`\n${paint(1, `${chapters}. ${title}`)}\n`);
      for (const line of lines) await context.out(`   ${line}\n`);
    },
    did: (what) => context.out(`   ${paint(36, `▸ ${what}`)}\n`),
    say: (line) => context.out(`   ${line}\n`),
    async expect(sentence, held, seen) {
      expectations += 1;
      if (!held) failures.push(sentence);
      const mark = held ? paint(32, "✓") : paint(31, "✗ NOT SO:");
      await context.out(`   ${mark} ${sentence}${seen === undefined ? "" : paint(2, `  ${seen}`)}\n`);
    },
    progress(text) {
      if (terminal.error) context.note(`\r   ${text}`);
    },
    failures: () => failures,
    expectations: () => expectations,
  };
}

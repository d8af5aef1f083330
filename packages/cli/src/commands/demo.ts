/** `writ demo`: the story is in demo/story.ts. */

import { defineCommand, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { EXIT } from "../exit-codes.ts";

export const define: DefineCommands = (program, context) => {
  defineCommand<{ readonly keep?: boolean }>(program, context, {
    usage: "demo",
    summary: "Show in a minute what Writ does, on a gateway of its own. Exits with 0 only when all went as it says.",
    options: [option("--keep", "keep the temporary directory")],
    async run(_args, { keep }) {
      const { runDemo } = await import("../demo/run-demo.ts");
      return (await runDemo(context, { keep: keep === true })) ? EXIT.ok : EXIT.no;
    },
  });
};

/** `writ gateway`. */
import type { DefineCommands } from "../define-commands.ts";
import { definePlanesCommand } from "../run-planes.ts";

export const define: DefineCommands = (program, context) => {
  definePlanesCommand(program, context, {
    name: "gateway",
    summary: "Run the gateway alone.",
    planes: ["gateway"],
    starter: false,
  });
};

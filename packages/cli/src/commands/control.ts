/** `writ control`. */
import type { DefineCommands } from "../define-commands.ts";
import { definePlanesCommand } from "../run-planes.ts";

export const define: DefineCommands = (program, context) => {
  definePlanesCommand(program, context, {
    name: "control",
    summary: "Run the control plane alone.",
    planes: ["control"],
    starter: true,
  });
};

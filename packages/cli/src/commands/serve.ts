/** `writ serve`. */
import type { DefineCommands } from "../define-commands.ts";
import { definePlanesCommand } from "../run-planes.ts";

export const define: DefineCommands = (program, context) => {
  definePlanesCommand(program, context, {
    name: "serve",
    summary: "Run the gateway and the control plane in one process.",
    planes: ["gateway", "control"],
    starter: true,
  });
};

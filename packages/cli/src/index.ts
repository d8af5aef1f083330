/** What others may use of the command: its reference page. The command itself is bin/writ.mjs. */
export { describeCommands } from "./describe-commands.ts";

/**
 * A child process that creates the data directory of the embedded database and ends, so that the memory which that
 * takes (some 800 MB) goes back to the system. Works in a sibling directory and renames it when it is whole. Takes
 * the directory's final and temporary names as arguments; ends with its parent.
 */
import { rename, rm } from "node:fs/promises";
import process from "node:process";
import { PGlite } from "@electric-sql/pglite";
import { startParameters } from "./pglite-settings.ts";

const [final, temporary] = process.argv.slice(2);
if (final === undefined || temporary === undefined) throw new TypeError("two directories are expected");
process.once("disconnect", () => process.exit(1));

const database = await PGlite.create({ dataDir: temporary, startParams: startParameters() });
await database.close();
// PGlite leaves a postmaster.pid that means nothing to the next process.
await rm(`${temporary}/postmaster.pid`, { force: true });
if (process.connected) await rename(temporary, final);
process.exit(0);

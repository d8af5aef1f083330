/** Who may say what a stdio upstream runs. What a transport may hold is checked by the commands that store it. */
import type { UpstreamTransport } from "@writ/contract";
import { type Actor, isOfInstance } from "../actor.ts";
import { Problem } from "../problem.ts";

/**
 * Problem `permission_missing` when a key of a tenant names a stdio transport, or would replace one. The command of such
 * a transport runs on the gateway's machine, beside every other tenant. Nothing is compared with what is stored: an
 * answer that depended on it would let values of the environment be guessed.
 */
export function requireTransportAuthority(actor: Actor, transport: Pick<UpstreamTransport, "type">): void {
  if (transport.type !== "stdio" || isOfInstance(actor)) return;
  throw new Problem(
    "permission_missing",
    "A stdio upstream runs a command on the gateway's machine: create it or change its transport with an admin key of the instance, or register the server by its URL as an http upstream.",
  );
}

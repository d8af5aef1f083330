/**
 * Who may say what a stdio upstream runs, and where credentials go. What a transport may hold is checked by the commands
 * that store it.
 */
import type { StoredTransport, UpstreamTransport } from "@writ/contract";
import { type Actor, isOfInstance } from "../actor.ts";
import { Problem } from "../problem.ts";

/**
 * Problem `permission_missing` when a key of a tenant names a stdio transport or one with credentials, or would replace
 * one. The command of a stdio transport runs on the gateway's machine, beside every other tenant; files with credentials
 * are the operator's, and whoever names one beside a URL of its own has it. Nothing is compared with what is stored: an
 * answer that depended on it would let values of the environment be guessed.
 */
export function requireTransportAuthority(actor: Actor, transport: UpstreamTransport | StoredTransport): void {
  if (isOfInstance(actor)) return;
  if (transport.type !== "stdio") {
    if (transport.credentials === undefined) return;
    throw new Problem(
      "permission_missing",
      "Credentials of upstreams are files of the gateway's operator: give them, or change the transport of an upstream that has some, with an admin key of the instance.",
    );
  }
  throw new Problem(
    "permission_missing",
    "A stdio upstream runs a command on the gateway's machine: create it or change its transport with an admin key of the instance, or register the server by its URL as an http upstream.",
  );
}

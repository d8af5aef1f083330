/** `writ token`: capability tokens. One is printed only by the command that makes it, and read only from files and pipes. */
import { randomBytes } from "node:crypto";
import type { TokenView } from "@writ/contract/admin";
import { attenuateToken, parseCaveatText } from "@writ/token";
import type { Command } from "commander";
import { readUrl } from "../admin-session.ts";
import { type CaveatOptions, caveatOptions, caveatsOf, expiryOption, noteOn } from "../caveat-options.ts";
import type { CliContext } from "../cli-context.ts";
import { defineAdminCommand, defineCommand, defineGroup, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { CliError, EXIT, refused } from "../exit-codes.ts";
import { writeSecretFile } from "../files.ts";
import { formatExplanation } from "../format-explanation.ts";
import { type Column, formatTime } from "../format-table.ts";
import { createGatewayClient, DEFAULT_GATEWAY_URL, readToolName } from "../gateway-client.ts";
import { readCarve, readJsonObject } from "../read-values.ts";
import { findToken, formatToken, inspectToken, nodeOfToken, tokenHash } from "../token-text.ts";

const COLUMNS: readonly Column<TokenView>[] = [
  { title: "NODE", value: ({ node }) => node },
  { title: "LABEL", value: ({ label }) => (label === "" ? undefined : label) },
  { title: "AGENT", value: ({ agentId }) => agentId },
  { title: "ISSUED", value: ({ issuedAtMs }) => formatTime(issuedAtMs) },
  { title: "EXPIRES", value: ({ expiresAtMs }) => formatTime(expiresAtMs) },
  { title: "REVOKED", value: ({ revoked }) => formatTime(revoked?.revokedAtMs) },
];

const tokenFile = () => option("--token-file <file>", "file with the token; - reads standard input (WRIT_TOKEN)");
const out = () => option("--out <file>", "write the token to a file of mode 0600 instead");

export const define: DefineCommands = (program, context) => {
  const group = defineGroup(program, "token", "Capability tokens: authority by their caveats.");
  defineAdminCommand(group, context, {
    usage: "list",
    summary: "List minted root tokens, without the tokens.",
    run: ({ list, tenant }) => list("tokens.list", { params: { tenant }, query: {} }, COLUMNS),
  });
  defineMint(group, context);
  defineAttenuate(group, context);
  defineCommand<{ readonly tokenFile?: string; readonly json?: boolean }>(group, context, {
    usage: "inspect",
    summary: "Show what a token says, offline. Nothing is verified.",
    options: [tokenFile(), option("--json", "print JSON")],
    async run(_args, options) {
      const reading = inspectToken(await findToken(context, options.tokenFile));
      await context.out(options.json === true ? `${JSON.stringify(reading)}\n` : formatToken(reading));
    },
  });
  defineExplain(group, context);
  defineAdminCommand<{ readonly reason: string; readonly tokenFile?: string }>(group, context, {
    usage: "revoke [node]",
    summary: "Revoke a node of a delegation tree with all below it.",
    arguments: ["the node; left out: that of the token in --token-file"],
    options: [option("--reason <text>", "why, for the log").makeOptionMandatory(), tokenFile()],
    async run({ client, tenant, show }, [node], { reason, tokenFile: file }) {
      if ((node === undefined) === (file === undefined)) throw refused("Name a node, or a token with --token-file.");
      const target = node ?? nodeOfToken(await findToken(context, file));
      const answer = await client.call("nodes.revoke", { params: { tenant, node: target }, body: { reason } });
      await show(answer, () =>
        answer.changed ? `Revoked ${answer.node} and all below it.\n` : `${answer.node} had been revoked before.\n`,
      );
    },
  });
};

function defineMint(group: Command, context: CliContext): void {
  defineAdminCommand<CaveatOptions & { readonly expiresIn?: number; readonly label?: string; readonly out?: string }>(
    group,
    context,
    {
      usage: "mint <agent>",
      summary: "Mint a token for an agent and print it, the only time that it is shown.",
      arguments: ["id or name"],
      options: [...caveatOptions(), expiryOption(), option("--label <text>", "a name for lists"), out()],
      async run({ client, tenant, show }, [agent], options) {
        const minted = await client.call("tokens.mint", {
          params: { tenant },
          body: {
            agent: given(agent),
            caveats: caveatsOf(options),
            ...(options.expiresIn === undefined ? {} : { expiresInSeconds: options.expiresIn }),
            ...(options.label === undefined ? {} : { label: options.label }),
          },
        });
        const { token, ...about } = minted;
        context.note(
          `Minted node ${minted.node}; it expires ${formatTime(minted.expiresAtMs)}.\n${noteOn(minted.caveats)}`,
        );
        if (options.out === undefined) return show(minted, () => `${token}\n`);
        const file = await writeSecretFile(context, options.out, token);
        await show({ file, ...about }, () => `The token is in ${file} (mode 0600).\n`);
      },
    },
  );
}

interface AttenuateOptions extends CaveatOptions {
  readonly tokenFile?: string;
  readonly expiresIn?: number;
  readonly id?: string;
  readonly record?: boolean;
  readonly carve?: ReturnType<typeof readCarve>;
  readonly agent?: string;
  readonly gatewayUrl?: string;
  readonly out?: string;
  readonly json?: boolean;
}

function defineAttenuate(group: Command, context: CliContext): void {
  defineCommand<AttenuateOptions>(group, context, {
    usage: "attenuate",
    summary: "Make a weaker token from one that you hold and print it: offline, or recorded at the gateway.",
    options: [
      tokenFile(),
      ...caveatOptions(),
      expiryOption(),
      option("--id <id>", "names the child among its siblings, offline only (random)"),
      option("--record", "have the gateway record the child, if policy allows it"),
      option(
        "--carve <unit:window:amount>",
        "with --record: set a part of the budget aside; may be repeated",
      ).argParser(readCarve),
      option("--agent <id>", "with --record: the agent that it is handed to"),
      option("--gateway-url <url>", "with --record: the gateway (WRIT_GATEWAY_URL; http://127.0.0.1:8484)"),
      out(),
      option("--json", "print JSON"),
    ],
    async run(_args, options) {
      const parent = await findToken(context, options.tokenFile);
      const expires =
        options.expiresIn === undefined
          ? []
          : [JSON.stringify({ exp: Math.floor(context.nowMs() / 1000) + options.expiresIn })];
      const caveats = [...caveatsOf(options), ...expires];
      refusePast(caveats, context.nowMs());
      const child =
        options.record === true
          ? await recordChild(context, parent, caveats, options)
          : attenuateOffline(parent, caveats, options);
      context.note(
        `Made node ${child.node}${options.record === true ? ", recorded" : ", which the gateway does not know yet"}.\n`,
      );
      const { token, ...about } = child;
      if (options.out !== undefined) {
        const file = await writeSecretFile(context, options.out, token);
        await context.out(
          options.json === true ? `${JSON.stringify({ file, ...about })}\n` : `The token is in ${file} (mode 0600).\n`,
        );
      } else await context.out(options.json === true ? `${JSON.stringify(child)}\n` : `${token}\n`);
    },
  });
}

/** By this machine's clock; the gateway has its own, and judges a child that it records by that. */
function refusePast(caveats: readonly string[], nowMs: number): void {
  for (const caveat of caveats) {
    const { meaning } = parseCaveatText(caveat);
    if (meaning.kind !== "exp" || meaning.atMs > nowMs) continue;
    const now = Math.floor(nowMs / 1000);
    throw refused(
      `The token would have expired already: the caveat names ${meaning.atMs / 1000}, and now is ${now}, in seconds since 1970. Name a later time in exp, or a life with --expires-in.`,
      "expiry_past",
    );
  }
}

interface Child {
  readonly token: string;
  readonly node: string;
}

function attenuateOffline(parent: string, caveats: readonly string[], options: AttenuateOptions): Child {
  if (options.carve !== undefined || options.agent !== undefined) {
    throw refused("--carve and --agent need the gateway: add --record.");
  }
  const id = options.id ?? randomBytes(16).toString("hex");
  const made = attenuateToken(tokenHash, parent, { id, caveats });
  if (made.kind === "attenuated") return { token: made.token, node: made.node };
  if (made.kind === "malformed") throw refused(`This is no token: ${made.detail}.`, "token_malformed");
  throw refused(`The caveat is refused: ${made.detail}.`, made.reason);
}

async function recordChild(
  context: CliContext,
  parent: string,
  caveats: readonly string[],
  options: AttenuateOptions,
): Promise<Child> {
  if (options.id !== undefined) throw refused("The gateway names a recorded child itself: leave --id out.");
  const url = readUrl(
    options.gatewayUrl ?? context.environment["WRIT_GATEWAY_URL"] ?? DEFAULT_GATEWAY_URL,
    "--gateway-url",
  );
  const gateway = createGatewayClient({ url, token: parent, clientName: "writ" });
  const answer = await gateway.recordChild({
    caveats: caveats.map(readJsonObject),
    ...(options.carve === undefined ? {} : { carve: options.carve }),
    ...(options.agent === undefined ? {} : { agent: options.agent }),
  });
  if (answer.kind === "refused") {
    const { reason, message } = answer.refusal;
    const help = answer.callId === undefined ? "" : ` (call ${answer.callId})`;
    throw new CliError(EXIT.no, reason ?? "denied", `The gateway recorded nothing: ${message}${help}`);
  }
  return answer.result;
}

function defineExplain(group: Command, context: CliContext): void {
  defineAdminCommand<{ readonly tokenFile?: string; readonly from?: string }>(group, context, {
    usage: "explain <tool> [arguments]",
    summary: "Say stage by stage what would be decided about a call with a token. Nothing is sent or recorded.",
    arguments: ["upstream/tool", "JSON object"],
    options: [tokenFile(), option("--from <address>", "where it would be presented from")],
    async run({ client, tenant, show }, [name, text], options) {
      const token = await findToken(context, options.tokenFile);
      const answer = await client.call("explain.run", {
        params: { tenant },
        body: {
          token,
          ...readToolName(given(name)),
          argumentsText: readJsonObject(text ?? "{}"),
          ...(options.from === undefined ? {} : { address: options.from }),
        },
      });
      await show(answer, () => formatExplanation(answer));
      return answer.decision === "allow" ? EXIT.ok : EXIT.no;
    },
  });
}

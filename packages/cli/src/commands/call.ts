/** `writ call`: one real call through the gateway, and why it was decided as it was. */
import type { ExplainAnswer } from "@writ/contract/admin";
import { type AdminOptions, findAdminKey, makeAdminSession, readUrl } from "../admin-session.ts";
import type { CliContext } from "../cli-context.ts";
import { adminOptions, defineCommand, given, option } from "../define-command.ts";
import type { DefineCommands } from "../define-commands.ts";
import { EXIT } from "../exit-codes.ts";
import { explainError } from "../explain-error.ts";
import { formatExplanation } from "../format-explanation.ts";
import { formatFields, printable } from "../format-table.ts";
import {
  createGatewayClient,
  DEFAULT_GATEWAY_URL,
  type GatewayAnswer,
  readToolName,
  type ToolCall,
} from "../gateway-client.ts";
import { readJsonObject } from "../read-values.ts";
import { findToken } from "../token-text.ts";

interface CallOptions extends AdminOptions {
  readonly tokenFile?: string;
  readonly gatewayUrl?: string;
  readonly explain: boolean;
}

export const define: DefineCommands = (program, context) => {
  defineCommand<CallOptions>(program, context, {
    usage: "call <tool> [arguments]",
    summary: "Make one call through the gateway. With an admin key at hand, it is explained stage by stage.",
    arguments: ["upstream/tool", `JSON object, such as '{"message":"hello"}'`],
    options: [
      option("--token-file <file>", "file with the token; - reads standard input (WRIT_TOKEN; .writ/starter-token)"),
      option("--gateway-url <url>", "the gateway (WRIT_GATEWAY_URL; http://127.0.0.1:8484)"),
      option("--no-explain", "only make the call"),
      ...adminOptions(),
    ],
    async run([name, text], options) {
      const url = readUrl(
        options.gatewayUrl ?? context.environment["WRIT_GATEWAY_URL"] ?? DEFAULT_GATEWAY_URL,
        "--gateway-url",
      );
      const call = { ...readToolName(given(name)), argumentsText: readJsonObject(text ?? "{}") };
      const token = await findToken(context, options.tokenFile);
      const client = createGatewayClient({ url, token, clientName: "writ" });
      const answer = await client.callTool(call);
      const explanation = options.explain ? await explain(context, options, token, call) : undefined;
      await context.out(
        options.json === true
          ? `${JSON.stringify({ ...answer, ...(explanation === undefined ? {} : { explanation }) })}\n`
          : formatAnswer(answer) + (explanation === undefined ? "" : `\n${formatExplanation(explanation)}`),
      );
      if (answer.kind === "result") return EXIT.ok;
      if (answer.refusal.reason === "upstream_unavailable") {
        context.note(
          `What keeps ${call.upstream} is said by: writ upstream review ${call.upstream}. What a server over stdio writes to stderr is in the gateway's log (upstream.stderr).\n`,
        );
      }
      return answer.refusal.status >= 500 ? EXIT.failure : EXIT.no;
    },
  });
};

/** What the control plane says to the same call; undefined, with a remark, when it cannot be asked. */
async function explain(
  context: CliContext,
  options: AdminOptions,
  token: string,
  call: ToolCall,
): Promise<ExplainAnswer | undefined> {
  const key = await findAdminKey(context, options);
  if (key === undefined) {
    context.note("It is not explained, because there is no admin key (WRIT_ADMIN_KEY or --key-file).\n");
    return undefined;
  }
  const { client, tenant } = makeAdminSession(context, options, key);
  try {
    return await client.call("explain.run", { params: { tenant }, body: { token, ...call } });
  } catch (error) {
    // The call itself was made and answered: that it cannot be explained is a remark, not its end.
    context.note(`It is not explained: ${explainError(error).message}\n`);
    return undefined;
  }
}

/** Exported for its tests. */
export function formatAnswer(answer: GatewayAnswer): string {
  const call: readonly [string, string | undefined] = ["call", answer.callId];
  if (answer.kind === "result")
    return formatFields([["allowed", "the upstream answered"], call]) + formatResult(answer.result);
  const { status, code, reason, message, data } = answer.refusal;
  const more = ["check", "remaining", "unit", "resetsAt", "retryAfterSeconds", "firstCallId"].map(
    (name): readonly [string, string | undefined] => [
      name,
      data[name] === undefined ? undefined : typeof data[name] === "string" ? data[name] : JSON.stringify(data[name]),
    ],
  );
  return formatFields([["refused", message], ["reason", reason], ["HTTP", status], ["JSON-RPC", code], ...more, call]);
}

function formatResult(result: unknown): string {
  // An upstream's own shape: only texts are taken out of it, and only for display.
  const content = (result as { readonly content?: unknown } | null)?.content;
  if (!Array.isArray(content)) return `${JSON.stringify(result, undefined, 2)}\n`;
  return content
    .map((item: { readonly type?: unknown; readonly text?: unknown }) =>
      item.type === "text" && typeof item.text === "string"
        ? `${item.text.split("\n").map(printable).join("\n")}\n`
        : `(${printable(String(item.type))})\n`,
    )
    .join("");
}

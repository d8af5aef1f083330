/** `GET /v1/budget`: a holder asks what is left of its token's budgets. */
import { encodeHttpDenial } from "../../encode-denial.ts";
import type { Gate } from "../../gate.ts";
import type { Exchange, Route } from "../../server/data-listener.ts";
import { describeResource, metadataUrlOf } from "../../server/resource-metadata.ts";

const PATH = "/v1/budget";

export function createBudgetRoutes(options: {
  readonly gate: Gate;
  readonly publicUrl: () => string;
}): readonly Route[] {
  const { gate } = options;
  return [{ method: "GET", pattern: PATH, handle }, describeResource(PATH, options.publicUrl)];

  async function handle(exchange: Exchange): Promise<void> {
    const { authorization } = exchange.request.headers;
    const resourceMetadataUrl = metadataUrlOf(options.publicUrl(), PATH);
    const authentication = await gate.authenticate({ authorization, remoteAddress: exchange.remoteAddress });
    const read = authentication.kind === "rejected" ? authentication : await gate.remainingBudgets(authentication);
    if (read.kind !== "read") {
      const data = "retryAfterSeconds" in read ? { retryAfterSeconds: read.retryAfterSeconds } : {};
      const denial = { reason: read.reason, detail: "", data };
      return exchange.problem(encodeHttpDenial(denial, { callId: undefined, resourceMetadataUrl }));
    }
    const headers = { "content-type": "application/json", "cache-control": "no-store" };
    exchange.answer(200, headers, JSON.stringify({ budgets: read.budgets }));
  }
}

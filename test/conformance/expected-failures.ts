/**
 * What the conformance suite finds that we do not mend, by revision and check, each with its reason. A check that is
 * listed and is not found so any more fails the tests.
 */

type Reasons = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Scenarios that nobody here claims to pass: the extension for long-running tasks, which Writ refuses to pass on. */
export const OUT_OF_SCOPE = /^tasks-/;

const BARE_SDK = "The low-level server of the SDK compares no Mcp-Param header with the arguments.";

/** Of the fixture servers themselves, which are the official SDKs'. */
export const EXPECTED_FAILURES: Reasons = {
  "2026-07-28": {
    "http-custom-header-server-validation/sep-2243-server-reject-invalid-param-chars": BARE_SDK,
    "http-custom-header-server-validation/sep-2243-server-reject-param-mismatch": BARE_SDK,
    "http-custom-header-server-validation/sep-2243-server-validate-param-match": BARE_SDK,
  },
};

const RESUMED =
  "Writ takes up the server's stream itself and breaks off none towards the agent, so there is nothing to come back for.";

const COMPARED = "Writ compares the headers that repeat arguments with the arguments, whatever its upstream does.";

const UNASKED =
  "The suite only remarks that answers are refused: it gives them without having been asked, and Writ passes on only what was.";

/** What is otherwise through Writ than directly; none of it is a failure of Writ's. */
export const EXPECTED_DIFFERENCES: Reasons = {
  "2026-07-28": {
    "http-custom-header-server-validation/sep-2243-server-reject-invalid-param-chars": COMPARED,
    "http-custom-header-server-validation/sep-2243-server-reject-param-mismatch": COMPARED,
    "http-custom-header-server-validation/sep-2243-server-validate-param-match": COMPARED,
    "input-required-result-ignore-extra-params/sep-2322-ignore-unexpected-params": UNASKED,
    "input-required-result-missing-input-response/sep-2322-missing-response-rerequests": UNASKED,
  },
  "2025-11-25": {
    "server-sse-multiple-streams/server-sse-streams-functional":
      "The suite only remarks that no answer was a stream: Writ answers in JSON what needs none.",
    "server-sse-polling/incoming-sse-event": RESUMED,
    "server-sse-polling/server-sse-content-type": RESUMED,
    "server-sse-polling/server-sse-disconnect-resume": RESUMED,
    "server-sse-polling/server-sse-priming-event": RESUMED,
    "server-sse-polling/server-sse-retry-field": RESUMED,
    "server-sse-polling/stream-closed": RESUMED,
  },
};

const NOTHING_TO_CALL =
  "What an agent can be asked for goes along with its calls, and the suite's server has nothing that could be called.";

/** Of Writ as a client of the suite's own servers: whatever is neither a success nor a remark. */
export const EXPECTED_CLIENT_FINDINGS: Reasons = {
  "2026-07-28": {
    "request-metadata/sep-2575-client-declares-elicitation-capability": NOTHING_TO_CALL,
    "request-metadata/sep-2575-client-declares-roots-capability": NOTHING_TO_CALL,
    "request-metadata/sep-2575-client-declares-sampling-capability": NOTHING_TO_CALL,
  },
};

/**
 * The manifest of what Writ must hold: an id for each "must" of the threat model and each known mistake that this part
 * of the product can make. Tests cite the ids in their names; requirements.test.ts fails for an id that no test cites,
 * for a citation that no id answers, and where SECURITY.md says something else. Data only.
 */
export interface Requirement {
  readonly id: string;
  readonly sentence: string;
}

export const REQUIREMENTS: readonly Requirement[] = [
  { id: "trap-01", sentence: "A token with an unknown caveat must be denied." },
  { id: "trap-02", sentence: "A caveat appended to a revoked token must leave it denied." },
  { id: "trap-03", sentence: "A wider caveat behind a narrow one must widen nothing." },
  { id: "trap-04", sentence: "Revoking a child must end it and all below it, and nothing else." },
  {
    id: "trap-05",
    sentence: "A budget must hold under concurrency and a crash: never more forwarded, never fewer counted.",
  },
  { id: "trap-06", sentence: "A call that may have run must stay charged, as unknown." },
  {
    id: "trap-07",
    sentence:
      "A repeated idempotency key, or an id in flight in one session, must not be forwarded or charged again; an id that begins anew must be.",
  },
  { id: "trap-12", sentence: "Without the audit store nothing must be forwarded that is not on record." },
  { id: "trap-13", sentence: "Events deleted at the end of the log must be detected." },
  { id: "trap-14", sentence: "Events deleted at the beginning of the log must be detected." },
  { id: "trap-15", sentence: "A log computed anew without the key must be detected." },
  { id: "trap-16", sentence: "Two writers must never fork a log." },
  { id: "trap-17", sentence: "Requests without a credential must be turned away, lists and sessions included." },
  { id: "trap-18", sentence: "A hidden tool must look exactly like one that does not exist." },
  { id: "trap-19", sentence: "A changed definition must not be callable until it is approved again." },
  { id: "trap-20", sentence: "A redirect of an upstream must not be followed, nor anything sent again." },
  { id: "trap-22", sentence: "Duplicate member names must be refused, also in another case." },
  { id: "trap-24", sentence: "Without a rule that allows, the policy must deny, with a reason." },
  { id: "trap-25", sentence: "Tokens attenuated by others, with any text in a caveat, must verify." },
  { id: "trap-26", sentence: "Minting must refuse a caveat that no gateway enforces." },
  { id: "trap-28", sentence: "Session ids must have 128 random bits." },
  { id: "trap-29", sentence: "A token must never be in a URL, log, metric, error or event." },
  { id: "trap-33", sentence: "Another tenant's identifier must behave like one that does not exist." },
  { id: "trap-35", sentence: "A default installation must deny without a token." },
  { id: "trap-36", sentence: "Nodes must be named by their path, not by ids that holders choose." },
  { id: "trap-37", sentence: "No invented credential must become an identity." },
  { id: "trap-38", sentence: "A rate that has no room to count must fall back to a stricter one, never to none." },
  { id: "trap-42", sentence: "An answer that nobody could look into must be refused, whatever its type and status." },
  { id: "trap-43", sentence: "A body over the limit must be refused, and no part of it judged." },
  { id: "trap-44", sentence: "A denial must never be counted as a success." },
  { id: "trap-46", sentence: "Upstream sessions must be reused and bounded." },
  { id: "trap-48", sentence: "A checker that sees no files must fail." },
  { id: "trap-49", sentence: "The head's lock must come before what is read under it." },
  { id: "trap-50", sentence: "A state must come from one snapshot and be labelled with its revision." },
  { id: "trap-51", sentence: "A holder must not reach another's counter or tree by the ids it chooses." },
  { id: "trap-52", sentence: "Policy must not see what a holder appended." },
  { id: "trap-53", sentence: "Nothing must wait between commit and send." },
  { id: "trap-54", sentence: "A token must have one spelling." },
  { id: "trap-55", sentence: "Numbers must keep their lexeme and never be rounded." },
  { id: "trap-57", sentence: "Digests of supplied data must be salted." },
  { id: "trap-58", sentence: "A head behind what was seen must deny until a new epoch is opened." },
  { id: "trap-59", sentence: "No foreign key must refer to a head." },
  { id: "trap-60", sentence: "A flush under load must let the event loop run." },
  { id: "trap-61", sentence: "Deciding again must look at revocation again." },
  { id: "trap-62", sentence: "The look-up of an unanswered commit must not race the orphaned transaction." },
  { id: "trap-63", sentence: "State must not grow with nodes that holders make for nothing." },
  { id: "trap-64", sentence: "Two agents on one upstream session must never get each other's answers." },
  {
    id: "R-EVIDENCE-1",
    sentence:
      "A call is forwarded only after its decision and its budget reservation are committed in one transaction.",
  },
  {
    id: "R-EVIDENCE-2",
    sentence:
      "Every allow ends as exactly one of completed, failed, aborted (surely not sent) and unknown (may have been sent).",
  },
  { id: "R-EVIDENCE-3", sentence: "Without a database that answers, no call is made." },
  {
    id: "R-DENY-1",
    sentence: "Without a token nothing but health, readiness and public metadata is answered; no identity is made up.",
  },
  {
    id: "R-DENY-2",
    sentence: "An unknown caveat, method, outcome of a rule, or a check that fails, denies with a reason of its own.",
  },
  { id: "R-DENY-3", sentence: "A token without an audience, or for another gateway, is refused." },
  {
    id: "R-DENY-4",
    sentence:
      "A request that can be read in two ways (duplicate keys, disagreeing headers, lone surrogates) is refused, and a body over the limit is never judged in part.",
  },
  { id: "R-DENY-5", sentence: "Whatever no rule allows is denied, and a denial by any rule wins." },
  { id: "R-NARROW-1", sentence: "Nothing that a holder appends to a token widens what it permits." },
  { id: "R-NARROW-2", sentence: "A minted caveat is one that the gateway enforces; minting refuses every other." },
  {
    id: "R-NARROW-3",
    sentence: "Revoking a node ends it and everything below it, and nothing else; a holder cannot name another's node.",
  },
  {
    id: "R-STALE-1",
    sentence:
      "When a revocation, a kill switch or a change of rules has returned, no call commits on what was before, on any gateway.",
  },
  {
    id: "R-STALE-2",
    sentence: "After that, nothing is sent later than 250 ms and no stream carries a byte later than 5 s.",
  },
  {
    id: "R-STALE-3",
    sentence: "A database that is behind what a gateway has seen is refused until an administrator opens a new epoch.",
  },
  {
    id: "R-TOOL-1",
    sentence:
      "A tool is called only as it was approved. Defined otherwise, it is quarantined on all gateways as soon as one sees it; an approval pins exactly what was shown, and nothing that an upstream does unlocks anything.",
  },
  {
    id: "R-OBSERVE-1",
    sentence:
      "Observe mode lets through what a policy itself has denied to the end, on one upstream, for 14 days at most, and puts each on record; every other no stays.",
  },
  { id: "R-OBSERVE-2", sentence: "Under observation, too, nothing that a holder appends to a token widens anything." },
  { id: "R-BUDGET-1", sentence: "A budget is never overspent: under concurrency, across gateways, through crashes." },
  { id: "R-BUDGET-2", sentence: "A call that may have been sent stays charged." },
  {
    id: "R-EXACT-1",
    sentence:
      "The upstream receives the arguments that were judged, byte for byte; no number is rounded. (Where messages are lines, a line break between values becomes a space.)",
  },
  {
    id: "R-EXACT-2",
    sentence: "Members that Writ does not know pass in both directions, and results are not written anew.",
  },
  { id: "R-SECRET-1", sentence: "A token appears in no URL, log, metric, error or event." },
  { id: "R-SECRET-2", sentence: "The agent's token never reaches an upstream." },
  {
    id: "R-SECRET-4",
    sentence:
      "A credential of an upstream comes from a file of the operator, reaches that upstream alone, and is masked where the upstream sends it back in an encoding that the documentation lists.",
  },
  { id: "R-SECRET-3", sentence: "What is supplied from outside is in the log only as a salted digest." },
  {
    id: "R-TENANT-1",
    sentence: "What belongs to another tenant answers like what does not exist, by the same code path.",
  },
  {
    id: "R-TENANT-2",
    sentence:
      "Agents on one upstream share its session only where the upstream is declared so, and answers never cross.",
  },
  {
    id: "R-HIDDEN-1",
    sentence:
      "A tool that a caller could not call with any arguments is not listed, and calling it is answered like one that does not exist.",
  },
  {
    id: "R-PUBLIC-1",
    sentence:
      "A request without a token reaches routes that are declared public, where a rule names who has none, and learns of nothing else.",
  },
  {
    id: "R-PLANE-1",
    sentence: "Agents' tokens do not work on the control plane, nor administrators' keys on the gateway.",
  },
  {
    id: "R-PLANE-2",
    sentence:
      "Who did something, as the log names it, comes from the authenticated key and never from a request's body.",
  },
  {
    id: "R-LOG-1",
    sentence:
      "Change, removal, reordering, truncation and a fork are found by a verifier that holds an earlier checkpoint, without the database, our servers or a secret.",
  },
  { id: "R-LOG-2", sentence: "The database roles that Writ runs as cannot update or delete events." },
  { id: "R-LOG-3", sentence: "The signer refuses to sign what does not extend what it signed last." },
  {
    id: "R-RUN-1",
    sentence: "Floods of refused requests fill neither log nor memory: they are bounded, counted and summarised.",
  },
  {
    id: "R-RUN-2",
    sentence:
      "In production Writ does not start without the settings that its safety rests on, on a database that may lose a commit, nor with a key file that others can read.",
  },
  { id: "R-RUN-3", sentence: "The only outbound connections are to the database and to the configured upstreams." },
  { id: "R-RUN-4", sentence: "A redirect of an upstream is not followed." },
  {
    id: "R-RUN-5",
    sentence:
      "An upstream's address that is not public is connected to only where the operator lists it, and no name is resolved a second time after its addresses were judged.",
  },
];

/** A promise that no test tries to break yet, and why. It leaves this list with the first test that cites it. */
export interface Uncovered {
  readonly id: string;
  readonly reason: string;
}

export const UNCOVERED: readonly Uncovered[] = [];

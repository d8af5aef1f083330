/**
 * The manifest of what Writ must hold: an id for each "must" of the threat model and each known mistake that this part
 * of the product can make. Tests cite the ids in their names; requirements.test.ts fails for an id that no test cites
 * and for a citation that no id answers. Data only.
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
  { id: "trap-12", sentence: "Without the audit store nothing must be forwarded that is not on record." },
  { id: "trap-13", sentence: "Events deleted at the end of the log must be detected." },
  { id: "trap-14", sentence: "Events deleted at the beginning of the log must be detected." },
  { id: "trap-15", sentence: "A log computed anew without the key must be detected." },
  { id: "trap-16", sentence: "Two writers must never fork a log." },
  { id: "trap-17", sentence: "Requests without a credential must be turned away, lists and sessions included." },
  { id: "trap-18", sentence: "A hidden tool must look exactly like one that does not exist." },
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
];

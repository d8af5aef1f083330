export type {
  Listable,
  ListableInput,
  PolicyAgent,
  PolicyInput,
  PolicyPort,
  PolicyPrincipal,
  PolicyProblem,
  PolicyResult,
  PolicySubject,
} from "./policy-port.ts";

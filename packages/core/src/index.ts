export {
  type Attempt,
  type AttenuationAttempt,
  type AttenuationJudgement,
  CHECKS,
  type Check,
  type DescribeInput,
  type Explanation,
  type Judgement,
  type StageOutcome,
} from "./judgement.ts";
export type { BuildState, StateOptions, StatePolicy, TenantState } from "./tenant-state.ts";

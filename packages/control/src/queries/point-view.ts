/** An enforcement point as the API shows it: without anything that proves its key. */
import type { EnforcementPoint } from "@writ/contract";
import type { EnforcementPointView } from "@writ/contract/admin";
import type { Stored } from "../store/control-store.ts";

export function pointView({ id, version, value }: Stored<EnforcementPoint>): EnforcementPointView {
  const { digest: _, ...shown } = value;
  return { id, version, ...shown };
}

/** Which name no agent and no principal may have. What a name may be made of is the admin API's to say. */
import { ANONYMOUS } from "@writ/contract";
import { Problem } from "../problem.ts";

/** Problem `fault_request` for the name by which policies know whoever presents no credential. */
export function requireName(name: string | undefined): void {
  if (name !== ANONYMOUS) return;
  throw new Problem("fault_request", `the name ${ANONYMOUS} is kept for whoever presents no credential`);
}

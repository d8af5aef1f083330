/** Every route that the control plane serves behind an admin key. */
import { adminKeyRoutes } from "./admin-keys.ts";
import { agentRoutes } from "./agents.ts";
import { auditRoutes } from "./audit.ts";
import { budgetRoutes } from "./budgets.ts";
import { callRoutes } from "./calls.ts";
import { enforcementPointRoutes } from "./enforcement-points.ts";
import { explainRoutes } from "./explain.ts";
import { killRoutes } from "./kill.ts";
import { observeRoutes } from "./observe.ts";
import { policyRoutes } from "./policy.ts";
import { priceRoutes } from "./prices.ts";
import { principalRoutes } from "./principals.ts";
import { rateRoutes } from "./rates.ts";
import { rootKeyRoutes } from "./root-keys.ts";
import type { ServedRoute } from "./route.ts";
import { tenantRoutes } from "./tenants.ts";
import { tokenRoutes } from "./tokens.ts";
import { upstreamRoutes } from "./upstreams.ts";

export const ROUTES: readonly ServedRoute[] = [
  ...tenantRoutes,
  ...principalRoutes,
  ...agentRoutes,
  ...upstreamRoutes,
  ...rootKeyRoutes,
  ...tokenRoutes,
  ...policyRoutes,
  ...observeRoutes,
  ...budgetRoutes,
  ...rateRoutes,
  ...priceRoutes,
  ...callRoutes,
  ...killRoutes,
  ...auditRoutes,
  ...explainRoutes,
  ...enforcementPointRoutes,
  ...adminKeyRoutes,
];

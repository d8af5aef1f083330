/** Routes of policy: versions are stored, compared and made the active one. */
import { activatePolicy } from "../commands/activate-policy.ts";
import { proposePolicy } from "../commands/propose-policy.ts";
import { readObject, readPage, viewOf } from "../queries/read-objects.ts";
import { diffPolicies, listPolicyVersions, readPolicyVersion } from "../queries/read-policy-versions.ts";
import { tryPolicy } from "../queries/try-policy.ts";
import { validatePolicy } from "../queries/validate-policy.ts";
import { defineRoute } from "./route.ts";
import * as schema from "./schemas.ts";

export const policyRoutes = [
  defineRoute("policy.get", {
    answer: schema.policyView,
    handle: async ({ control, tenantId }) => viewOf(await readObject(control, tenantId, "policy", "active")),
  }),
  defineRoute("policy.validate", {
    body: schema.policySource,
    answer: schema.policyValidateAnswer,
    handle: async (_context, { body }) => validatePolicy(body.source),
  }),
  defineRoute("policy.diff", {
    query: schema.policyDiffQuery,
    answer: schema.policyDiffAnswer,
    handle: ({ control, tenantId }, { query }) => diffPolicies(control, tenantId, query.from ?? "", query.to ?? ""),
  }),
  defineRoute("policy.try", {
    body: schema.policyTry,
    answer: schema.policyTryAnswer,
    handle: ({ control, tenantId }, { body }) => tryPolicy(control, tenantId, body),
  }),
  defineRoute("policy.versions.list", {
    query: schema.pageQuery,
    answer: schema.page(schema.policyVersionView),
    handle: ({ control, tenantId }, { query }) => listPolicyVersions(control, tenantId, readPage(query)),
  }),
  defineRoute("policy.versions.create", {
    body: schema.policySource,
    answer: schema.policyVersionView,
    status: 201,
    handle: ({ control, actor, tenantId }, { body }) => proposePolicy(control, actor, tenantId, body),
  }),
  defineRoute("policy.versions.get", {
    answer: schema.policyVersionView,
    handle: ({ control, tenantId }, { params }) => readPolicyVersion(control, tenantId, params.id),
  }),
  defineRoute("policy.versions.activate", {
    body: schema.policyActivate,
    answer: schema.policyView,
    handle: ({ control, actor, tenantId }, { params, body }) =>
      activatePolicy(control, actor, tenantId, params.id, body),
  }),
] as const;

/** Which input and answer each operation of the admin API has. Types only: the client and the control plane share them. */
import type { AdminOperation } from "./routes.ts";
import type * as s from "./shapes.ts";

interface Tenant {
  readonly tenant: string;
}
interface TenantObject extends Tenant {
  readonly id: string;
}
interface TenantNode extends Tenant {
  readonly node: string;
}
interface TenantKill extends Tenant {
  readonly scope: "agent" | "principal" | "upstream" | "tool";
  readonly scopeId: string;
}
interface Version {
  readonly version: number;
}
interface ExportQuery {
  readonly epoch?: number;
}
interface VerifyQuery extends ExportQuery {
  readonly full?: boolean;
}

/** params: parts of the path. query: after the `?`. body: JSON. answer: JSON, or a stream of NDJSON. */
export interface AdminOperations {
  "tenants.list": { query: s.PageQuery; answer: s.Page<s.TenantView> };
  "tenants.create": { body: s.TenantCreate; answer: s.TenantView };
  "tenants.get": { params: Tenant; answer: s.TenantView };
  "tenants.update": { params: Tenant; body: s.TenantUpdate; answer: s.TenantView };
  "principals.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.PrincipalView> };
  "principals.create": { params: Tenant; body: s.PrincipalCreate; answer: s.PrincipalView };
  "principals.get": { params: TenantObject; answer: s.PrincipalView };
  "principals.update": { params: TenantObject; body: s.PrincipalUpdate; answer: s.PrincipalView };
  "agents.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.AgentView> };
  "agents.create": { params: Tenant; body: s.AgentCreate; answer: s.AgentView };
  "agents.get": { params: TenantObject; answer: s.AgentView };
  "agents.update": { params: TenantObject; body: s.AgentUpdate; answer: s.AgentView };
  "upstreams.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.UpstreamView> };
  "upstreams.create": { params: Tenant; body: s.UpstreamCreate; answer: s.UpstreamView };
  "upstreams.get": { params: TenantObject; answer: s.UpstreamView };
  "upstreams.update": { params: TenantObject; body: s.UpstreamUpdate; answer: s.UpstreamView };
  "upstreams.remove": { params: TenantObject; query: Version; answer: null };
  "upstreams.pin": { params: TenantObject; answer: s.PinAnswer };
  "upstreams.review": { params: TenantObject; answer: s.CatalogueReview };
  "upstreams.approve": { params: TenantObject; body: s.CatalogueDecide; answer: s.CatalogueDecideAnswer };
  "upstreams.reject": { params: TenantObject; body: s.CatalogueDecide; answer: s.CatalogueDecideAnswer };
  "upstreams.tools": { params: TenantObject; query: s.PageQuery; answer: s.Page<s.ToolView> };
  "root-keys.list": { params: Tenant; answer: s.Page<s.RootKeyView> };
  "root-keys.rotate": { params: Tenant; answer: s.RootKeyRotateAnswer };
  "root-keys.retire": { params: TenantObject; answer: s.RootKeyView };
  "tokens.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.TokenView> };
  "tokens.mint": { params: Tenant; body: s.TokenMint; answer: s.TokenMintAnswer };
  "nodes.get": { params: TenantNode; answer: s.NodeView };
  "nodes.revoke": { params: TenantNode; body: s.NodeRevoke; answer: s.NodeRevokeAnswer };
  "policy.get": { params: Tenant; answer: s.PolicyView };
  "policy.validate": { params: Tenant; body: s.PolicySource; answer: s.PolicyValidateAnswer };
  "policy.diff": {
    params: Tenant;
    query: { readonly from: string; readonly to: string };
    answer: s.PolicyDiffAnswer;
  };
  "policy.try": { params: Tenant; body: s.PolicyTry; answer: s.PolicyTryAnswer };
  "policy.versions.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.PolicyVersionView> };
  "policy.versions.create": { params: Tenant; body: s.PolicySource; answer: s.PolicyVersionView };
  "policy.versions.get": { params: TenantObject; answer: s.PolicyVersionView };
  "policy.versions.activate": { params: TenantObject; body: s.PolicyActivate; answer: s.PolicyView };
  "observe.list": { params: Tenant; answer: s.Page<s.ObserveView> };
  "observe.start": { params: TenantObject; body: s.ObserveStart; answer: s.ObserveView };
  "observe.stop": { params: TenantObject; answer: null };
  "budgets.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.BudgetView> };
  "budgets.create": { params: Tenant; body: s.BudgetCreate; answer: s.BudgetView };
  "budgets.usage": { params: Tenant; query: s.PageQuery; answer: s.Page<s.BudgetUsage> };
  "budgets.get": { params: TenantObject; answer: s.BudgetView };
  "budgets.update": { params: TenantObject; body: s.BudgetUpdate; answer: s.BudgetView };
  "budgets.remove": { params: TenantObject; query: Version; answer: null };
  "calls.unknown": { params: Tenant; query: s.PageQuery; answer: s.Page<s.UnknownCallView> };
  "calls.reconcile": { params: TenantObject; body: s.CallReconcile; answer: s.CallReconcileAnswer };
  "rates.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.RateView> };
  "rates.create": { params: Tenant; body: s.RateCreate; answer: s.RateView };
  "rates.get": { params: TenantObject; answer: s.RateView };
  "rates.update": { params: TenantObject; body: s.RateUpdate; answer: s.RateView };
  "rates.remove": { params: TenantObject; query: Version; answer: null };
  "prices.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.PriceView> };
  "prices.create": { params: Tenant; body: s.PriceCreate; answer: s.PriceView };
  "prices.get": { params: TenantObject; answer: s.PriceView };
  "prices.update": { params: TenantObject; body: s.PriceUpdate; answer: s.PriceView };
  "prices.remove": { params: TenantObject; query: Version; answer: null };
  "kill.list": { params: Tenant; answer: s.Page<s.KillView> };
  "kill.engage-tenant": { params: Tenant; body: s.KillEngage; answer: s.KillView };
  "kill.release-tenant": { params: Tenant; answer: null };
  "kill.engage": { params: TenantKill; body: s.KillEngage; answer: s.KillView };
  "kill.release": { params: TenantKill; answer: null };
  "instance.kill.get": { answer: s.Page<s.KillView> };
  "instance.kill.engage": { body: s.KillEngage; answer: s.KillView };
  "instance.kill.release": { answer: null };
  "audit.events": { params: Tenant; query: s.AuditEventsQuery; answer: s.Page<s.AuditEventView> };
  "audit.verify": { params: Tenant; query: VerifyQuery; answer: s.AuditVerifyAnswer };
  "audit.export": { params: Tenant; query: ExportQuery; answer: ReadableStream<Uint8Array> };
  "audit.checkpoints": { params: Tenant; answer: s.Page<s.CheckpointView> };
  "instance.audit.events": { query: s.AuditEventsQuery; answer: s.Page<s.AuditEventView> };
  "instance.audit.verify": { query: VerifyQuery; answer: s.AuditVerifyAnswer };
  "instance.audit.export": { query: ExportQuery; answer: ReadableStream<Uint8Array> };
  "instance.audit.checkpoints": { answer: s.Page<s.CheckpointView> };
  "log.recover": { params: Tenant; body: s.LogRecover; answer: s.LogRecoverAnswer };
  "instance.log.recover": { body: s.LogRecover; answer: s.LogRecoverAnswer };
  "explain.run": { params: Tenant; body: s.ExplainRequest; answer: s.ExplainAnswer };
  "enforcement-points.list": { params: Tenant; query: s.PageQuery; answer: s.Page<s.EnforcementPointView> };
  "enforcement-points.create": {
    params: Tenant;
    body: s.EnforcementPointCreate;
    answer: s.EnforcementPointCreateAnswer;
  };
  "enforcement-points.revoke": { params: TenantObject; answer: null };
  "admin-keys.list": { params: Tenant; answer: s.Page<s.AdminKeyView> };
  "admin-keys.create": { params: Tenant; body: s.AdminKeyCreate; answer: s.AdminKeyCreateAnswer };
  "admin-keys.revoke": { params: TenantObject; answer: null };
  "instance.admin-keys.list": { answer: s.Page<s.AdminKeyView> };
  "instance.admin-keys.create": { body: s.AdminKeyCreate; answer: s.AdminKeyCreateAnswer };
  "instance.admin-keys.revoke": { params: { readonly id: string }; answer: null };
}

/** Fails to compile when an operation has a route and no shape, or a shape and no route. */
export type AdminOperationsAreComplete = [
  Exclude<AdminOperation, keyof AdminOperations>,
  Exclude<keyof AdminOperations, AdminOperation>,
] extends [never, never]
  ? true
  : never;

/** Members that may hold nothing may be left out. */
type Relaxed<T> = {
  [M in keyof T as Record<never, never> extends T[M] ? M : never]?: T[M];
} & {
  [M in keyof T as Record<never, never> extends T[M] ? never : M]: T[M];
};

export type AdminInput<K extends AdminOperation> = Relaxed<Omit<AdminOperations[K], "answer">>;
export type AdminAnswer<K extends AdminOperation> = AdminOperations[K]["answer"];

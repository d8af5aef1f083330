export interface TenantState {
  readonly tenantId: string;
  readonly revision: number;
}

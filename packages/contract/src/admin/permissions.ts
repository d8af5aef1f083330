/** The permissions that an admin key can hold, and nothing about who holds which. `*` stands for all of its scope. */
export const ADMIN_PERMISSIONS = [
  "tenants:read",
  "tenants:write",
  "principals:read",
  "principals:write",
  "agents:read",
  "agents:write",
  "upstreams:read",
  "upstreams:write",
  "root_keys:read",
  "root_keys:write",
  "tokens:read",
  "tokens:mint",
  "tokens:revoke",
  "policy:read",
  "policy:write",
  "policy:activate",
  "budgets:read",
  "budgets:write",
  "kill:read",
  "kill:engage",
  "kill:release",
  "audit:read",
  "explain:run",
  "enforcement_points:read",
  "enforcement_points:write",
  "admin_keys:read",
  "admin_keys:write",
  "log:recover",
] as const;

export type AdminPermission = (typeof ADMIN_PERMISSIONS)[number];

/** What a key is given: one of the list, or `*`. */
export type AdminGrant = AdminPermission | "*";

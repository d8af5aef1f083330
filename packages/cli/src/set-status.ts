/** Suspends and resumes what has a status, naming the version that was seen. */
import type { AdminSession } from "./admin-session.ts";

export async function setStatus(
  { client, tenant, show }: AdminSession,
  kind: "agents" | "principals" | "upstreams" | "tenants",
  id: string,
  status: "active" | "suspended",
): Promise<void> {
  if (kind === "tenants") {
    const params = { tenant: id };
    const { version } = await client.call("tenants.get", { params });
    const changed = await client.call("tenants.update", { params, body: { version, status } });
    return show(changed, () => `${changed.name} is ${changed.status}.\n`);
  }
  const params = { tenant, id };
  const { version } = await client.call(`${kind}.get`, { params });
  const changed = await client.call(`${kind}.update`, { params, body: { version, status } });
  await show(changed, () => `${changed.name} is ${changed.status}.\n`);
}

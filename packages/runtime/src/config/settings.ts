/** The settings of the schema as a flat list, and their two names: path (`gateway.publicUrl`) and environment variable. */
import { CONFIG_SCHEMA, type GroupSchema, type SettingSchema } from "./schema.ts";

export interface Setting {
  readonly path: string;
  readonly environment: string;
  readonly schema: SettingSchema;
}

/** `gateway.publicUrl` → `WRIT_GATEWAY_PUBLIC_URL`. */
export function environmentName(path: string): string {
  return `WRIT_${path
    .replaceAll(".", "_")
    .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
    .toUpperCase()}`;
}

/** Every setting, in the order of the schema. */
export function listSettings(): readonly Setting[] {
  const settings: Setting[] = [];
  const walk = (group: GroupSchema, prefix: string): void => {
    for (const [name, member] of Object.entries(group.properties)) {
      const path = prefix === "" ? name : `${prefix}.${name}`;
      if (isGroup(member)) walk(member, path);
      else settings.push({ path, environment: environmentName(path), schema: member });
    }
  };
  walk(CONFIG_SCHEMA, "");
  return settings;
}

/** The groups of the schema with their sentence, in order. */
export function listGroups(): readonly { readonly path: string; readonly description: string }[] {
  return Object.entries(CONFIG_SCHEMA.properties).flatMap(([path, member]) =>
    isGroup(member) ? [{ path, description: member.description }] : [],
  );
}

function isGroup(schema: GroupSchema | SettingSchema): schema is GroupSchema {
  return "properties" in schema;
}

/** The settings of the schema as a flat list, and their two names: path (`gateway.publicUrl`) and environment variable. */
import { CONFIG_SCHEMA, type SettingNotes } from "./schema.ts";

/** JSON Schema as far as the configuration uses it. */
export interface SettingSchema extends Partial<SettingNotes> {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SettingSchema>>;
  readonly anyOf?: readonly { readonly const?: unknown }[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

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
  const walk = (schema: SettingSchema, prefix: string): void => {
    for (const [name, member] of Object.entries(schema.properties ?? {})) {
      const path = prefix === "" ? name : `${prefix}.${name}`;
      if (member.type === "object") walk(member, path);
      else settings.push({ path, environment: environmentName(path), schema: member });
    }
  };
  // TypeBox's schema is JSON Schema; the cast narrows it to the members that are read here.
  walk(CONFIG_SCHEMA as unknown as SettingSchema, "");
  return settings;
}

/** The groups of the schema with their sentence, in order. */
export function listGroups(): readonly { readonly path: string; readonly description: string }[] {
  const root = CONFIG_SCHEMA as unknown as SettingSchema; // as above
  return Object.entries(root.properties ?? {})
    .filter(([, member]) => member.type === "object")
    .map(([path, member]) => ({ path, description: member.description ?? "" }));
}

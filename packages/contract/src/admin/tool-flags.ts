/** What is flagged of a tool before it is pinned. `held`: it is not pinned together with the rest. */
export const TOOL_FLAGS = {
  hidden_characters: { held: true },
  mixed_scripts: { held: true },
  look_alike: { held: true },
  renamed: { held: true },
  names_other_tool: { held: true },
  same_name: { held: false },
  near_name: { held: false },
} as const satisfies Record<string, { readonly held: boolean }>;

export type ToolFlagCode = keyof typeof TOOL_FLAGS;

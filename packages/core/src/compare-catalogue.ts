/**
 * What of a catalogue that was read differs from what is pinned. Says it and does nothing about it: the gateway
 * quarantines by it, the control plane shows it.
 */
import type { Tool, Upstream } from "@writ/contract";
import { canonicalDefinition, canonicalInstructions } from "./canonical-definition.ts";

export interface SeenCatalogue {
  /** Definitions as the upstream gave them, byte for byte. */
  readonly tools: readonly { readonly name: string; readonly definition: string }[];
  /** JSON text of a string; undefined when it gave none. */
  readonly instructions: string | undefined;
}

export interface CatalogueComparison {
  /** Pinned tools that are now defined otherwise, whatever their status. */
  readonly changed: readonly { readonly tool: Tool; readonly definition: string }[];
  /** Listed and not pinned: nobody can call them. */
  readonly added: readonly string[];
  /** Pinned and not listed any more. */
  readonly missing: readonly string[];
  /** `unpinned` when the upstream's instructions were never approved, so that there is nothing to compare with. */
  readonly instructions: "same" | "changed" | "unpinned";
}

export function compareCatalogue(
  seen: SeenCatalogue,
  pinned: readonly Tool[],
  lock: Upstream["lock"],
): CatalogueComparison {
  const listed = new Map(seen.tools.map((tool) => [tool.name, tool.definition]));
  const names = new Set(pinned.map(({ name }) => name));
  const instructions = canonicalInstructions(seen.instructions);
  return {
    changed: pinned.flatMap((tool) => {
      const definition = listed.get(tool.name);
      return definition === undefined || pinnedTextOf(definition) === textOf(tool) ? [] : [{ tool, definition }];
    }),
    added: [...listed.keys()].filter((name) => !names.has(name)).sort(),
    missing: [...names].filter((name) => !listed.has(name)).sort(),
    instructions:
      lock === undefined ? "unpinned" : canonicalInstructions(lock.instructions) === instructions ? "same" : "changed",
  };
}

/** The text whose SHA-256 is the digest of a definition. What cannot be read is told apart by its bytes. */
export function pinnedTextOf(definition: string): string {
  const canonical = canonicalDefinition(definition);
  return canonical.kind === "canonical" ? canonical.text : `unreadable ${definition}`;
}

/** A pinned tool never changes, so its text is made once. */
const texts = new WeakMap<Tool, string>();

function textOf(tool: Tool): string {
  let text = texts.get(tool);
  if (text === undefined) {
    // Made from the definition and not compared by digest: those pinned by an earlier version have another one.
    text = pinnedTextOf(tool.definition);
    texts.set(tool, text);
  }
  return text;
}

/** What `rego.metadata.chain()` and `rego.metadata.rule()` answer: the METADATA around a rule, nearest first. */
import type { Annotation, Module, Rule } from "../syntax/ast.ts";
import { compareValues, objectOf, type Value } from "../value.ts";

/** The annotations of the rule, of its document, of its package, and of the packages above. */
export function metadataChain(modules: readonly Module[], module: Module, rule: Rule, path: readonly Value[]): Value {
  const own = annotationsBefore(module, rule).filter(({ scope }) => scope === "rule");
  const chain: Value[] = own.length === 0 ? [{ path }] : own.map(({ fields }) => entry(path, fields));
  for (const other of modules) {
    if (compareValues(other.package.path, module.package.path) !== 0) continue;
    for (const candidate of other.rules) {
      if (nameText(other, candidate) !== nameText(module, rule)) continue;
      for (const { scope, fields } of annotationsBefore(other, candidate)) {
        if (scope === "document") chain.push(entry(path, fields));
      }
    }
  }
  const ofPackages = modules.flatMap((other) =>
    other.annotations
      .filter(({ scope }) => scope === "package" || scope === "subpackages")
      .map((annotation) => ({ annotation, path: other.package.path })),
  );
  for (let length = module.package.path.length; length > 0; length -= 1) {
    for (const scope of length === module.package.path.length ? ["package", "subpackages"] : ["subpackages"]) {
      const prefix = module.package.path.slice(0, length);
      for (const { annotation, path: annotated } of ofPackages) {
        if (annotation.scope !== scope || compareValues(annotated, prefix) !== 0) continue;
        chain.push(entry(annotated, annotation.fields));
      }
    }
  }
  return chain;
}

/** The fields of the rule's own annotation; an empty object when it has none. */
export function metadataOfRule(module: Module, rule: Rule): Value {
  return annotationsBefore(module, rule).find(({ scope }) => scope === "rule")?.fields ?? {};
}

function entry(path: readonly Value[], annotations: Value): Value {
  return objectOf([
    ["annotations", annotations],
    ["path", path],
  ]);
}

function annotationsBefore(module: Module, rule: Rule): Annotation[] {
  return module.annotations.filter(({ target }) => target === rule.at);
}

function nameText(module: Module, rule: Rule): string {
  return module.source.text.slice(rule.head.at, rule.head.end);
}

/**
 * Validators that are compiled with their first request. There are some two hundred, compiling them all is most of what
 * a start of the control plane costs, and few are ever used; that each compiles is for a test to see.
 */
import AjvCompiler from "@fastify/ajv-compiler";
import type { FastifySchemaCompiler } from "fastify";

const build = AjvCompiler();

export function createLazyValidators(): FastifySchemaCompiler<unknown> {
  const customOptions = {
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: false,
    allErrors: false,
    strict: false,
  };
  // Its types name a schema, and it takes the part of a route that Fastify hands to compilers.
  const compile = build({}, { customOptions }) as unknown as FastifySchemaCompiler<unknown>;
  return (part) => {
    let compiled: ReturnType<typeof compile> | undefined;
    return (data: unknown) => {
      compiled ??= compile(part);
      return compiled(data) === true ? true : { error: compiled.errors ?? [] };
    };
  };
}

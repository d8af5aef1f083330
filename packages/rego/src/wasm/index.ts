/** Policies compiled by OPA, behind the interface of a program; needs `@open-policy-agent/opa-wasm`. */
export { loadWasm, type WasmLoaded, type WasmOptions, WasmProgram } from "./wasm-program.ts";

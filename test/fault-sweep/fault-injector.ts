/**
 * Makes the n-th call of a port fail, and counts. A port is wrapped once; which call fails, and how, is said for each
 * run. Judges nothing.
 */

/**
 * refuses: nothing is done, and the port's own kind of error is thrown. throws: nothing is done, and an error that no
 * port should throw. loses the answer: everything is done, and then an error. hangs: nothing is done, and an error
 * only after a while.
 */
export const FAULTS = ["refuses", "throws", "loses the answer", "hangs"] as const;
export type Fault = (typeof FAULTS)[number];

export interface Injector {
  /** The `at`-th call of a wrapped port from now on fails so. */
  arm(fault: Fault, at: number): void;
  /** No more faults; the name of the call that met one, if any. */
  disarm(): string | undefined;
  wrap<T extends object>(name: string, port: T, spec: PortSpec): T;
}

export interface PortSpec {
  /** Methods that answer at once; the others return promises. */
  readonly sync: readonly string[];
  readonly async: readonly string[];
  /** The error of this port; `done`: whether what was asked for may have happened. */
  readonly failure: (done: boolean) => Error;
}

const HANG_MS = 30;

export function createInjector(): Injector {
  let armed: { readonly fault: Fault; readonly at: number } | undefined;
  let calls = 0;
  let met: string | undefined;

  /** The fault that this call meets. */
  function next(name: string): Fault | undefined {
    if (armed === undefined || met !== undefined) return undefined;
    calls += 1;
    if (calls !== armed.at) return undefined;
    met = name;
    return armed.fault;
  }

  return {
    arm(fault, at) {
      armed = { fault, at };
      calls = 0;
      met = undefined;
    },
    disarm() {
      armed = undefined;
      return met;
    },
    wrap(portName, port, spec) {
      return new Proxy(port, {
        get(target, property, receiver) {
          const own: unknown = Reflect.get(target, property, receiver);
          if (typeof own !== "function" || typeof property !== "string") return own;
          const call = (args: unknown[]): unknown => Reflect.apply(own, target, args);
          if (spec.sync.includes(property)) {
            return (...args: unknown[]) => {
              const fault = next(`${portName}.${property}`);
              if (fault === undefined) return call(args);
              if (fault === "loses the answer") call(args);
              throw fault === "throws" ? new Error("broken on purpose") : spec.failure(fault === "loses the answer");
            };
          }
          if (!spec.async.includes(property)) return own.bind(target);
          return async (...args: unknown[]) => {
            const fault = next(`${portName}.${property}`);
            switch (fault) {
              case undefined:
                return call(args);
              case "refuses":
                throw spec.failure(false);
              case "throws":
                throw new Error("broken on purpose");
              case "hangs":
                await new Promise((resolve) => setTimeout(resolve, HANG_MS));
                throw spec.failure(true);
              case "loses the answer":
                await call(args);
                throw spec.failure(true);
            }
          };
        },
      });
    },
  };
}

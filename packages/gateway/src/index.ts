export { createGateway, type Gateway, type GatewayListenerOptions } from "./compose.ts";
export { type ObservedOfTenant, readObserved } from "./observed-upstreams.ts";
export type { Clock, Random } from "./ports.ts";
export { checkRunner } from "./upstream/check-runner.ts";

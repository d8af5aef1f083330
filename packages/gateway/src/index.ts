export {
  createGateway,
  createSystemRandom,
  type Gateway,
  type GatewayListenerOptions,
  systemClock,
} from "./compose.ts";
export { type ObservedOfTenant, readObserved } from "./observed-upstreams.ts";
export type { Clock, Random } from "./ports.ts";
export { checkRunner } from "./upstream/check-runner.ts";

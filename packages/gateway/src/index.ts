export { createSystemRandom, systemClock } from "./compose.ts";
export { createGateway, type Gateway, type GatewayListenerOptions } from "./gateway.ts";
export type { Clock, Random } from "./ports.ts";

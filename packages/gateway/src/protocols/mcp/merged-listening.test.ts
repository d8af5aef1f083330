import { describe, expect, test } from "vitest";
import { createMergedListening } from "./merged-listening.ts";

const ACKNOWLEDGED = "notifications/subscriptions/acknowledged";
const TOOLS = "notifications/tools/list_changed";
const UPDATED = "notifications/resources/updated";

function listenTo(...upstreams: readonly string[]) {
  const told: (readonly [string, unknown])[] = [];
  const merged = createMergedListening({
    upstreams,
    say: (method, params) => void told.push([method, JSON.parse(params)]),
  });
  /** Nothing here pushes back. */
  const hear = (upstream: string, method: string, params: string): void => {
    void merged.hear(upstream, method, params);
  };
  return { told, merged, hear };
}

describe("one listening at several upstreams", () => {
  test("is acknowledged once, with what all of them have granted", () => {
    const { told, hear } = listenTo("a", "b");
    hear("a", ACKNOWLEDGED, '{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["x:1"]}}');
    expect(told).toEqual([]);
    hear("b", ACKNOWLEDGED, '{"notifications":{"toolsListChanged":true,"other":true}}');
    expect(told).toEqual([
      [ACKNOWLEDGED, { notifications: { toolsListChanged: true, resourceSubscriptions: ["a+x:1"] } }],
    ]);
  });

  test("tells of nothing before its acknowledgement, and of everything granted after it", () => {
    const { told, merged, hear } = listenTo("a", "b");
    hear("a", ACKNOWLEDGED, '{"notifications":{"resourceSubscriptions":["x:1"]}}');
    hear("a", UPDATED, '{"uri":"x:1"}');
    hear("b", TOOLS, "{}");
    expect(merged.over("b")).toBe("never granted");
    hear("a", UPDATED, '{"uri":"x:2"}');
    expect(told.map(([method]) => method)).toEqual([ACKNOWLEDGED, UPDATED, UPDATED]);
    expect(told.slice(1).map(([, params]) => params)).toEqual([{ uri: "a+x:1" }, { uri: "a+x:2" }]);
    expect(merged.over("a")).toBe("granted");
  });

  test("leaves out who answers too late", () => {
    const { told, merged, hear } = listenTo("a", "slow");
    hear("a", ACKNOWLEDGED, '{"notifications":{"toolsListChanged":true}}');
    merged.acknowledge();
    hear("slow", ACKNOWLEDGED, '{"notifications":{"promptsListChanged":true}}');
    hear("slow", TOOLS, "{}");
    merged.acknowledge();
    expect(told).toEqual([[ACKNOWLEDGED, { notifications: { toolsListChanged: true } }]]);
  });

  test("keeps little of what comes before it is acknowledged", () => {
    const { told, merged, hear } = listenTo("a", "b");
    hear("a", ACKNOWLEDGED, '{"notifications":{"toolsListChanged":true}}');
    for (let count = 0; count < 1_000; count += 1) hear("a", TOOLS, "{}");
    merged.over("b");
    expect(told).toHaveLength(257);
  });

  test("is not acknowledged where nobody has granted anything", () => {
    const { told, merged } = listenTo("a");
    merged.over("a");
    expect(told).toEqual([]);
  });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { civilOfSeconds, secondsOfCivil } from "./civil.ts";
import { readLayout, readMoment, writeMoment } from "./layout.ts";
import { makeZone, UTC } from "./zone.ts";

const SECONDS = fc.integer({ min: -9_223_372_036, max: 9_223_372_036 });

test("a date is the one that JavaScript has for the same second", () => {
  fc.assert(
    fc.property(SECONDS, (seconds) => {
      const date = new Date(seconds * 1000);
      const civil = civilOfSeconds(seconds);
      expect([civil.year, civil.month, civil.day]).toEqual([
        date.getUTCFullYear(),
        date.getUTCMonth() + 1,
        date.getUTCDate(),
      ]);
      expect([civil.hour, civil.minute, civil.second]).toEqual([
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
      ]);
      expect(secondsOfCivil(civil)).toBe(seconds);
    }),
  );
});

test("a moment that is written in any zone is read back", () => {
  const layout = readLayout("Mon Jan _2 15:04:05.999999999 -07:00:00 2006");
  const zones = ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia"];
  fc.assert(
    fc.property(SECONDS, fc.nat(999_999_999), fc.constantFrom(...zones), (seconds, nanos, name) => {
      const zone = makeZone(name) ?? UTC;
      const civil = civilOfSeconds(seconds + zone.offsetAt(seconds));
      const text = writeMoment(layout, { seconds, nanos }, civil, zone);
      const read = readMoment(layout, text);
      expect(read.kind === "moment" ? read.moment : read.message).toEqual({ seconds, nanos });
    }),
  );
});

test("reading any text by any layout gives a moment or a fault", () => {
  const parts = fc.constantFrom(
    "2006",
    "Jan",
    "_2",
    "02",
    "002",
    "15",
    "3",
    "PM",
    ".000",
    ",99",
    "MST",
    "Z07:00",
    " ",
    "x",
  );
  const layouts = fc.oneof(
    fc.string(),
    fc.array(parts).map((list) => list.join("")),
  );
  const texts = fc.oneof(fc.string(), fc.stringMatching(/^[0-9: .,ZGMT+-]{0,40}$/));
  fc.assert(
    fc.property(layouts, texts, (layout, text) => {
      expect(["moment", "fault"]).toContain(readMoment(readLayout(layout), text).kind);
    }),
    { numRuns: 500 },
  );
});

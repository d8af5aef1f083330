import { afterEach, describe, expect, test } from "vitest";
import {
  eventsOf,
  lastIdOf,
  makeSession,
  type Reading,
  type StreamRig,
  startStreams,
} from "./resumable-streams.fixture.ts";
import { RESUMPTION_LIMITS, type ResumableStream, type StreamOwner } from "./resumable-streams.ts";

const rigs: StreamRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

async function start(options?: Parameters<typeof startStreams>[0]): Promise<StreamRig> {
  const rig = await startStreams(options);
  rigs.push(rig);
  return rig;
}

/** A stream that its client has begun to read, and the id that it begins with. */
async function open(
  rig: StreamRig,
  session: StreamOwner,
  options?: Parameters<StreamRig["open"]>[1],
): Promise<{
  readonly stream: ResumableStream;
  readonly cut: AbortController;
  readonly reading: Reading;
  readonly id: string;
}> {
  const { stream, cut, reading } = await rig.open(session, options);
  if (stream === undefined) throw new Error("there was no room");
  const id = lastIdOf(await reading.until("\n\n")) ?? "";
  return { stream, cut, reading, id: id.slice(0, id.indexOf(".")) };
}

/** Its client is gone, and the listener knows. */
async function leave(rig: StreamRig, reading: Reading): Promise<void> {
  await reading.leaveAfter(0);
  await expect.poll(() => rig.connected()).toBe(0);
}

const messages = (text: string): readonly string[] => eventsOf(text).map(({ data }) => data);

const LARGE = { bytesMax: 64_000_000, overMax: 10 };

/** Limits with little room somewhere. */
const limited = (own: Partial<typeof RESUMPTION_LIMITS>): typeof RESUMPTION_LIMITS => ({
  ...RESUMPTION_LIMITS,
  ...own,
});

describe("a stream", () => {
  test("tells a client of the newest revision where it is before it says anything, and older ones nothing that they cannot read", async () => {
    const rig = await start();
    const { reading, stream, id } = await open(rig, makeSession());
    expect(reading.text()).toBe(`id: ${id}.0\nretry: 1000\ndata: \n\n`);
    void stream.finish();
    const older = await rig.open(makeSession("2025-06-18"));
    void older.stream?.say('{"n":\n1}');
    void older.stream?.finish();
    expect(await older.reading.end()).toMatch(/^id: [\w-]{22}\.1\nevent: message\ndata: {"n":\ndata: 1}\n\n$/);
  });

  test("goes on while its client is away, who takes it up and says so early where it is once more", async () => {
    const rig = await start();
    const session = makeSession();
    const { stream, cut, reading, id } = await open(rig, session);
    void stream.say("1");
    await reading.until("data: 1");
    await leave(rig, reading);
    void stream.say("2");
    const second = await rig.takeUp(session, `${id}.1`);
    expect(second.status).toBe(200);
    expect(await second.until("data: 2")).toMatch(new RegExp(`^id: ${id}\\.1\nretry: 1000\ndata: \n\nid: ${id}\\.2\n`));
    void stream.say("3");
    void stream.finish();
    expect(messages(await second.end())).toEqual(["2", "3"]);
    expect(cut.signal.aborted).toBe(false);
  });

  test("is with the newest connection; the one before it ends", async () => {
    const rig = await start();
    const session = makeSession();
    const { stream, cut, reading, id } = await open(rig, session);
    const second = await rig.takeUp(session, `${id}.0`);
    void stream.say("1");
    void stream.finish();
    expect(messages(await reading.end())).toEqual([]);
    expect(messages(await second.end())).toEqual(["1"]);
    expect(cut.signal.aborted).toBe(false);
  });

  test("is taken from a connection that reads nothing, whose end changes nothing then", async () => {
    const rig = await start({
      limits: limited({ streamBytesMax: 64_000_000, session: LARGE, agent: LARGE, tenant: LARGE, gateway: LARGE }),
    });
    const session = makeSession();
    const { stream, cut, reading, id } = await open(rig, session);
    reading.pause();
    const long = `"${"x".repeat(500_000)}"`;
    // More than a connection takes that nobody reads.
    const said = Array<number>(40).fill(long.length);
    for (const _ of said) void stream.say(long);
    const second = await rig.takeUp(session, `${id}.0`);
    await expect.poll(() => rig.connected()).toBe(1);
    void stream.say('"last"');
    void stream.finish();
    expect(messages(await second.end()).map((text) => text.length)).toEqual([...said, 6]);
    expect(cut.signal.aborted).toBe(false);
  });

  test("that is over is told once more to whoever missed its end, and to whoever read all of it that there is no more", async () => {
    const rig = await start();
    const session = makeSession();
    const { stream, reading, id } = await open(rig, session);
    void stream.say("1");
    void stream.say("2");
    void stream.finish();
    await reading.end();
    expect(messages(await (await rig.takeUp(session, `${id}.1`)).end())).toEqual(["2"]);
    expect(messages(await (await rig.takeUp(session, `${id}.1`)).end())).toEqual(["2"]);
    expect((await rig.takeUp(session, `${id}.2`)).status).toBe(204);
    await stream.emptied;
    expect((await rig.takeUp(session, `${id}.1`)).status).toBe(400);
    expect(session.streams.size).toBe(0);
  });

  test("does not exist for another session or address, nor at an event that it never told", async () => {
    const rig = await start();
    const session = makeSession();
    const { stream, reading, id } = await open(rig, session);
    void stream.say("1");
    await reading.until("data: 1");
    const refused = [
      rig.takeUp(makeSession(), `${id}.0`),
      rig.takeUp(session, `${id}.0`, "elsewhere"),
      rig.takeUp(session, `${id}.2`),
      rig.takeUp(session, `${id}.00`),
      rig.takeUp(session, `${id}.-1`),
      rig.takeUp(session, `${id}.`),
      rig.takeUp(session, id),
      rig.takeUp(session, `${"x".repeat(22)}.0`),
    ];
    for (const reading of await Promise.all(refused)) expect([reading.status, await reading.end()]).toEqual([400, ""]);
    // Whoever asked in vain took nothing away.
    void stream.say("2");
    void stream.finish();
    expect(messages(await reading.end())).toEqual(["1", "2"]);
  });

  test("cannot be taken up after an event that was said while its client was away", async () => {
    const rig = await start();
    const session = makeSession();
    const { stream, reading, id } = await open(rig, session);
    await leave(rig, reading);
    void stream.say("1");
    expect((await rig.takeUp(session, `${id}.1`)).status).toBe(400);
    expect((await rig.takeUp(session, `${id}.0`)).status).toBe(200);
  });

  test("cuts its call when its client was away for too long", async () => {
    const rig = await start({ resumeWithinMs: 20 });
    const session = makeSession();
    const { stream, cut, reading, id } = await open(rig, session);
    await leave(rig, reading);
    await expect.poll(() => cut.signal.aborted).toBe(true);
    await stream.emptied;
    void stream.say('{"error":1}');
    void stream.finish();
    expect((await rig.takeUp(session, `${id}.0`)).status).toBe(400);
    expect(session.streams.size).toBe(0);
  });

  test("is forgotten some time after it is over", async () => {
    const rig = await start({ resumeWithinMs: 20 });
    const session = makeSession();
    const { stream, cut, reading } = await open(rig, session);
    void stream.say("1");
    void stream.finish();
    await reading.end();
    await stream.emptied;
    expect(session.streams.size).toBe(0);
    expect(cut.signal.aborted).toBe(false);
  });

  test("is forgotten as long after it was taken up when it was over", async () => {
    const rig = await start({ resumeWithinMs: 1_000 });
    const session = makeSession();
    const { stream, reading, id } = await open(rig, session);
    void stream.say("1");
    void stream.finish();
    await reading.end();
    expect(messages(await (await rig.takeUp(session, `${id}.0`)).end())).toEqual(["1"]);
    await stream.emptied;
    expect(session.streams.size).toBe(0);
  });

  test.each(["connected", "away", "over"] as const)("I5 that is cut while %s keeps nothing", async (when) => {
    const rig = await start();
    const session = makeSession();
    const { stream, cut, reading, id } = await open(rig, session);
    void stream.say("1");
    await reading.until("data: 1");
    if (when === "away") await leave(rig, reading);
    if (when === "over") void stream.finish();
    cut.abort();
    await stream.emptied;
    expect((await rig.takeUp(session, `${id}.0`)).status).toBe(400);
    // Whoever is there is told why.
    if (when !== "over") void stream.say('{"error":1}');
    void stream.finish();
    if (when === "connected") expect(messages(await reading.end())).toEqual(["1", '{"error":1}']);
    expect((await rig.takeUp(session, `${id}.1`)).status).toBe(when === "over" ? 204 : 400);
  });

  test("is not opened where nothing is to be kept", async () => {
    const rig = await start({ resumeWithinMs: 0 });
    const { stream, reading } = await rig.open(makeSession());
    expect([stream, reading.status]).toEqual([undefined, 503]);
  });
});

describe("what is kept", () => {
  test("of one stream are its newest events; after older ones it cannot be taken up", async () => {
    const rig = await start({ limits: limited({ eventsMax: 3 }) });
    const session = makeSession();
    const { stream, reading, id } = await open(rig, session);
    for (let n = 1; n <= 5; n += 1) void stream.say(String(n));
    await reading.until("data: 5");
    expect((await rig.takeUp(session, `${id}.1`)).status).toBe(400);
    const second = await rig.takeUp(session, `${id}.2`);
    void stream.finish();
    expect(messages(await second.end())).toEqual(["3", "4", "5"]);
  });

  test("of one stream is no more than its bytes, and an event that is larger leaves no gap behind it", async () => {
    const rig = await start({ limits: limited({ streamBytesMax: 4_000 }) });
    const session = makeSession();
    const { stream, reading, id } = await open(rig, session);
    void stream.say("1");
    void stream.say(`"${"x".repeat(4_000)}"`);
    await reading.until('x"');
    for (const after of [0, 1]) expect((await rig.takeUp(session, `${id}.${after}`)).status).toBe(400);
    const second = await rig.takeUp(session, `${id}.2`);
    void stream.say("3");
    await second.until("data: 3");
    await leave(rig, second);
    void stream.say("4");
    const third = await rig.takeUp(session, `${id}.3`);
    void stream.finish();
    expect(messages(await third.end())).toEqual(["4"]);
  });

  test("while a client is away is all of it, or it hears that it is not", async () => {
    const rig = await start({ limits: limited({ eventsMax: 3 }) });
    const session = makeSession();
    const { stream, reading, id } = await open(rig, session);
    await leave(rig, reading);
    for (let n = 1; n <= 3; n += 1) void stream.say(String(n));
    void stream.say("4");
    void stream.finish();
    // It was told nothing, so that nothing is left that it could come back after.
    for (const after of [0, 1, 4]) expect((await rig.takeUp(session, `${id}.${after}`)).status).toBe(400);
  });

  test.each([
    { of: "session", other: (session: StreamOwner) => session },
    { of: "agent", other: () => makeSession() },
    { of: "tenant", other: () => makeSession("2025-11-25", "b") },
    { of: "gateway", other: () => makeSession("2025-11-25", "b", "u") },
  ] as const)(
    "of one $of is within its bytes; a stream that finds no room cannot be taken up",
    async ({ of, other }) => {
      const room = { bytesMax: 3 * 16_384, overMax: 10 };
      const rig = await start({ limits: limited({ [of]: room }) });
      const session = makeSession();
      const first = await open(rig, session);
      await open(rig, session);
      expect((await rig.open(other(session), { requestLength: 8_192 })).stream).toBeUndefined();
      await open(rig, other(session));
      expect((await rig.open(other(session))).stream).toBeUndefined();
      // A stream that runs says what it says, though nothing of it can be kept.
      void first.stream.say("1");
      await first.reading.until("data: 1");
      expect((await rig.takeUp(session, `${first.id}.0`)).status).toBe(400);
      expect((await rig.takeUp(session, `${first.id}.1`)).status).toBe(200);
    },
  );

  test("of one tenant leaves room for the others, however many agents it has", async () => {
    const rig = await start({ limits: limited({ tenant: { bytesMax: 3 * 16_384, overMax: 10 } }) });
    for (const agent of ["a", "b", "c"]) await open(rig, makeSession("2025-11-25", agent));
    expect((await rig.open(makeSession("2025-11-25", "d"))).stream).toBeUndefined();
    await open(rig, makeSession("2025-11-25", "d", "u"));
  });

  test("makes way once it is over, the oldest first", async () => {
    const rig = await start({ limits: limited({ agent: { bytesMax: 3 * 16_384 + 1_000, overMax: 10 } }) });
    const session = makeSession();
    const opened = [await open(rig, session), await open(rig, session), await open(rig, session)] as const;
    for (const { stream } of opened.slice(0, 2)) {
      void stream.say("1");
      void stream.finish();
    }
    const last = await open(rig, makeSession());
    await opened[0].stream.emptied;
    expect((await rig.takeUp(session, `${opened[0].id}.0`)).status).toBe(400);
    expect((await rig.takeUp(session, `${opened[1].id}.0`)).status).toBe(200);
    void last.stream.say("1");
    expect(messages(await last.reading.until("data: 1"))).toEqual(["1"]);
  });

  test("of streams that are over is a bounded number, the newest", async () => {
    const rig = await start({ limits: limited({ session: { bytesMax: 1_000_000, overMax: 2 } }) });
    const session = makeSession();
    const ids: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      const { stream, id } = await open(rig, session);
      void stream.say("1");
      void stream.finish();
      ids.push(id);
    }
    const statuses = await Promise.all(ids.map(async (id) => (await rig.takeUp(session, `${id}.0`)).status));
    expect(statuses).toEqual([400, 400, 200, 200]);
  });

  test("gives all its room back", async () => {
    const bytesMax = 2 * 16_384;
    const room = { bytesMax, overMax: 10 };
    const rig = await start({ limits: limited({ session: room, agent: room, tenant: room, gateway: room }) });
    for (let count = 0; count < 20; count += 1) {
      const session = makeSession();
      const { stream, cut, reading, id } = await open(rig, session);
      for (let n = 0; n < 50; n += 1) void stream.say(`"${"x".repeat(1_000)}"`);
      if (count % 4 === 0) cut.abort();
      if (count % 4 === 1) for (const kept of session.streams.values()) kept.forget();
      void stream.finish();
      await reading.end();
      if (count % 4 === 2) expect((await rig.takeUp(session, `${id}.50`)).status).toBe(204);
    }
    const { stream } = await rig.open(makeSession(), { requestLength: 4_096 });
    expect(stream).toBeDefined();
  });
});

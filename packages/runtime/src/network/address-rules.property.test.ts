import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explainRefusal, isAddressRule, makeAddressRules } from "./address-rules.ts";

const NOTHING_LISTED = makeAddressRules([]);

/** What an agent's, or an upstream's, word for a host becomes in a URL: the address that would be connected to. */
function hostOf(spelling: string): string {
  return new URL(`http://${spelling}/`).hostname.replace(/^\[|\]$/g, "");
}

const byte = fc.integer({ min: 0, max: 255 });
const ipv4 = fc.tuple(byte, byte, byte, byte);
const spell = fc.constantFrom<(part: number) => string>(
  (part) => String(part),
  (part) => `0x${part.toString(16)}`,
  (part) => `0X${part.toString(16).toUpperCase()}`,
  (part) => `0${part.toString(8)}`,
  (part) => `000${part.toString(8)}`,
);
const toNumber = (bytes: readonly number[]): number => bytes.reduce((value, part) => value * 256 + part, 0);

/** All the ways of URLs to write one IPv4 address. */
const spelling4 = fc
  .tuple(ipv4, fc.tuple(spell, spell, spell, spell), fc.integer({ min: 1, max: 4 }), fc.boolean())
  .map(([bytes, spells, parts, dot]) => {
    const head = bytes.slice(0, parts - 1);
    const texts = [...head, toNumber(bytes.slice(parts - 1))].map((part, at) => spells[at]?.(part) ?? String(part));
    return { bytes, text: texts.join(".") + (dot ? "." : "") };
  });

const hex = (bytes: readonly number[], at: number): string =>
  (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16);
/** An IPv6 address that stands for an IPv4 one, in several spellings. */
const translated = fc
  .tuple(ipv4, fc.constantFrom("mapped", "compatible", "nat64", "6to4"), fc.integer({ min: 0, max: 3 }), fc.boolean())
  .map(([bytes, form, how, upper]) => {
    const tail = how % 2 === 0 ? bytes.join(".") : `${hex(bytes, 0)}:${hex(bytes, 2)}`;
    const zeros = how < 2 ? ":" : "0:0:0:0:0";
    const texts: Readonly<Record<string, string>> = {
      mapped: `${zeros}:ffff:${tail}`,
      compatible: how < 2 ? `::${tail}` : `0:0:0:0:0:0:${tail}`,
      nat64: how < 2 ? `64:ff9b::${tail}` : `64:ff9b:0:0:0:0:${tail}`,
      "6to4": `2002:${hex(bytes, 0)}:${hex(bytes, 2)}::1`,
    };
    const text = texts[form] ?? "";
    return { bytes, text: `[${upper ? text.toUpperCase() : text}]` };
  });

/** The same ranges once more, in another's implementation and as one list. */
const oracle = new BlockList();
for (const range of [
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24",
  "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 168.63.129.16/32",
].flatMap((line) => line.split(" "))) {
  const [network = "", bits] = range.split("/");
  oracle.addSubnet(network, Number(bits), "ipv4");
}

describe("addresses that are not listed", () => {
  test("an IPv4 address is judged alike in every spelling, and as Node's own list of ranges judges it", () => {
    fc.assert(
      fc.property(spelling4, ({ bytes, text }) => {
        const host = hostOf(text);
        expect(host).toBe(bytes.join("."));
        expect(NOTHING_LISTED.judge(host, host).kind).toBe(oracle.check(host, "ipv4") ? "refused" : "public");
      }),
      { numRuns: 2000 },
    );
  });

  test("IPv6 that stands for an IPv4 address is refused in every spelling, whatever it stands for", () => {
    fc.assert(
      fc.property(translated, ({ text }) => {
        const host = hostOf(text);
        expect(isIP(host)).toBe(6);
        expect(NOTHING_LISTED.judge(host, host).kind).toBe("refused");
      }),
      { numRuns: 2000 },
    );
  });

  test("of IPv6 only what is given to networks is public", () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const host = hostOf(`[${groups.map((each) => each.toString(16)).join(":")}]`);
        const [first = 0, second = 0] = groups;
        const isGlobal = first >= 0x2000 && first <= 0x3fff;
        const isSpecial =
          first === 0x2002 ||
          (first === 0x2001 && (second < 0x200 || second === 0xdb8)) ||
          (first === 0x3fff && second < 0x1000);
        expect(NOTHING_LISTED.judge(host, host).kind).toBe(isGlobal && !isSpecial ? "public" : "refused");
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["http://127.0.0.1/", "loopback"],
    ["http://2130706433/", "loopback"],
    ["http://0x7f.1/", "loopback"],
    ["http://0177.0.0.1/", "loopback"],
    ["http://１２７.0.0.1/", "loopback"],
    ["http://[::1]/", "loopback"],
    ["http://0/", "unspecified"],
    ["http://[::]/", "unspecified"],
    ["http://169.254.169.254/latest/meta-data", "metadata"],
    ["http://2852039166/", "metadata"],
    ["http://[fd00:ec2::254]/", "metadata"],
    ["http://168.63.129.16/", "metadata"],
    ["http://169.254.1.1/", "link-local"],
    ["http://[fe80::1]/", "link-local"],
    ["http://10.0.0.1/", "private"],
    ["http://172.31.255.255/", "private"],
    ["http://100.64.0.1/", "private"],
    ["http://[fd12::1]/", "private"],
    ["http://224.0.0.1/", "multicast"],
    ["http://[ff02::1]/", "multicast"],
    ["http://[::ffff:8.8.8.8]/", "translated"],
    ["http://[::ffff:7f00:1]/", "translated"],
    ["http://[64:ff9b::a9fe:a9fe]/", "translated"],
    ["http://[2002:7f00:1::]/", "translated"],
    ["http://192.0.2.1/", "reserved"],
    ["http://[2001:db8::1]/", "reserved"],
    ["http://[4000::1]/", "reserved"],
  ] as const)("trap-21 %s is %s", (url, is) => {
    const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
    expect(NOTHING_LISTED.judge(host, host)).toEqual({ kind: "refused", is });
  });

  test("what is no address, or has a zone, is refused", () => {
    for (const text of ["", "fe80::1%eth0", "1.2.3", "01.2.3.4", "1.2.3.4 ", "::ffff:1.2.3.4%1", "host"]) {
      expect(NOTHING_LISTED.judge("host", text)).toEqual({ kind: "refused", is: "unreadable" });
    }
  });
});

describe("addresses that are listed", () => {
  test("a prefix or an address lists what it holds and nothing beside it", () => {
    const rules = makeAddressRules(["10.1.0.0/16", "fd00:1::5", "169.254.169.254"]);
    for (const address of ["10.1.2.3", "fd00:1::5", "169.254.169.254"])
      expect(rules.judge("x", address).kind).toBe("listed");
    for (const address of ["10.2.0.1", "fd00:1::6", "169.254.169.253"])
      expect(rules.judge("x", address).kind).toBe("refused");
  });

  test("a host speaks for its private addresses, for this machine's, and never for the others", () => {
    const rules = makeAddressRules(["mcp.internal", "*.lan.example"]);
    expect(rules.judge("MCP.internal", "10.0.0.7").kind).toBe("listed");
    expect(rules.judge("mcp.internal", "127.0.0.1").kind).toBe("listed");
    expect(rules.judge("a.lan.example", "192.168.0.1").kind).toBe("listed");
    for (const host of ["lan.example", "xmcp.internal", "mcp.internal.example"])
      expect(rules.judge(host, "10.0.0.7").kind).toBe("refused");
    for (const address of ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::ffff:10.0.0.7"])
      expect(rules.judge("mcp.internal", address).kind).toBe("refused");
  });

  test("a listed translation lists the way, not where it leads", () => {
    const rules = makeAddressRules(["64:ff9b::/96", "::ffff:0:0/96", "10.0.0.0/8"]);
    expect(rules.judge("x", "64:ff9b::808:808").kind).toBe("listed");
    expect(rules.judge("x", "64:ff9b::a00:1").kind).toBe("listed");
    expect(rules.judge("x", "::ffff:10.0.0.1").kind).toBe("listed");
    expect(rules.judge("x", "64:ff9b::7f00:1")).toEqual({ kind: "refused", is: "loopback" });
    expect(rules.judge("x", "::ffff:169.254.169.254")).toEqual({ kind: "refused", is: "metadata" });
  });

  test("what is neither address nor host is no rule", () => {
    for (const text of ["10.0.0.0/8", "::1", "::ffff:0:0/96", "localhost", "*.internal", "a-b.example"])
      expect(isAddressRule(text), text).toBe(true);
    for (const text of ["", "10.0.0.1/8", "10.1", "0x7f.1", "1", "a.0x7f", "*", "Host", "http://x", "10.0.0.0/33"])
      expect(isAddressRule(text), text).toBe(false);
  });
});

test("a refusal says what to list, and not which address it was", () => {
  expect(explainRefusal("mcp.internal", "private")).toBe(
    "mcp.internal has an address that is of the kind private, which a gateway connects to only where its setting upstreams.allowedAddresses lists the host or its address",
  );
  expect(explainRefusal("x", "metadata")).toContain("lists the address itself");
});

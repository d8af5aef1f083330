import { describe } from "vitest";
import { testExpressions } from "./expression.fixture.ts";

describe("networks", () => {
  testExpressions([
    ['net.cidr_contains("10.0.0.0/8", "10.255.255.255")', "true"],
    ['net.cidr_contains("10.0.0.0/8", "11.0.0.0/9")', "false"],
    ['net.cidr_contains("0.0.0.0/0", "::1")', "false"],
    ['net.cidr_contains("10.0.0.0/8", "::ffff:10.1.2.3")', "true"],
    ['net.cidr_contains("::/0", "::1")', "true"],
    ['net.cidr_contains("10.0.0.0/8", "10.01.2.3")', "error: net.cidr_contains: invalid CIDR address: 10.01.2.3"],
    ['net.cidr_intersects("10.0.0.0/8", "10.5.0.0/16")', "true"],
    ['net.cidr_intersects("10.0.0.0/8", "0.0.0.0/0")', "true"],
    ['net.cidr_intersects("10.0.0.0/8", "::/0")', "false"],
    ['net.cidr_overlap("10.0.0.0/8", "10.0.0.1")', "true"],
    ['net.cidr_is_valid("10.0.0.0")', "false"],
    ['net.cidr_is_valid("10.0.0.0/33")', "false"],
    ['net.cidr_is_valid("10.0.0.0/08")', "false"],
    ['net.cidr_is_valid("10.0.0/8")', "false"],
    ['net.cidr_is_valid("256.0.0.0/8")', "false"],
    ['net.cidr_is_valid("1::2::3/64")', "false"],
    ['net.cidr_is_valid("1:2:3:4:5:6:7:8/128")', "true"],
    ['net.cidr_is_valid("1:2:3:4:5:6:7::8/128")', "false"],
    ['net.cidr_is_valid("fe80::1%eth0/64")', "false"],
    ['net.cidr_is_valid("::/129")', "false"],
    ['net.cidr_is_valid(json.unmarshal("1"))', "false"],
    ['net.cidr_expand("2001:db8::fffe/127")', '{"2001:db8::fffe", "2001:db8::ffff"}'],
    ['net.cidr_expand("::1:0:0:0/128")', '{"::1:0:0:0"}'],
    ['net.cidr_expand("2001:0:0:1:0:0:0:1/128")', '{"2001:0:0:1::1"}'],
    ['net.cidr_expand("::/0")', "error: evaluation takes more than"],
    ['net.cidr_expand("0.0.0.0/0")', "error: evaluation takes more than"],
    ['net.cidr_merge(["10.0.0.0/25", "10.0.0.128/25", "10.0.0.64/26"])', '{"10.0.0.0/24"}'],
    ['net.cidr_merge(["10.0.0.0/32", "10.0.0.1/32", "10.0.0.2/32"])', '{"10.0.0.0/31", "10.0.0.2/32"}'],
    ['net.cidr_merge(["255.255.255.255/32", "0.0.0.0/32"])', '{"0.0.0.0/32", "255.255.255.255/32"}'],
    ['net.cidr_merge(["128.0.0.1", "10.1.1.1"])', '{"10.0.0.0/8", "128.0.0.0/16"}'],
    ['net.cidr_contains_matches("1.1.1.0/24", {"a": "1.1.1.1", "b": ["2.2.2.2", 5]})', '{["1.1.1.0/24", "a"]}'],
    ['net.cidr_contains_matches(["x"], "1.1.1.1")', "error: net.cidr_contains_matches: invalid CIDR address: x"],
    [
      'net.cidr_contains_matches([[]], "1.1.1.1")',
      "error: net.cidr_contains_matches: operand 1: element must be string",
    ],
  ]);
});

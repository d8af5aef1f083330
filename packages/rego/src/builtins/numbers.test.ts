import { describe } from "vitest";
import { testExpressions } from "./expression.fixture.ts";

describe("conversions", () => {
  testExpressions([
    ['to_number("+.5e1")', "5"],
    ['to_number("5.")', "5"],
    ['to_number("007")', "7"],
    ['to_number("28857836529306024611913")', "28857836529306024611913"],
    ['to_number("")', 'error: to_number: strconv.ParseFloat: parsing "": invalid syntax'],
    ['to_number(" 1")', "error: to_number: strconv.ParseFloat: "],
    ['to_number("0x10")', "error: to_number: strconv.ParseFloat: "],
    ['to_number("+Inf")', "error: to_number: operand 1 must be valid number string but got string"],
    ['to_number(json.unmarshal("[]"))', "error: "],
    ["cast_array({2, 1})", "[1, 2]"],
    ["cast_set([1, 1])", "{1}"],
    ['cast_string("a")', '"a"'],
    ["cast_string(1)", "error: cast_string: operand 1 must be string but got number"],
    ["cast_boolean(true)", "true"],
    ["cast_null(null)", "null"],
    ["cast_object({})", "{}"],
  ]);
});

describe("aggregates and sets of older policies", () => {
  testExpressions([
    ["any([false, true])", "true"],
    ["any([])", "false"],
    ["all({true})", "true"],
    ["all([])", "true"],
    ["all([true, 1])", "false"],
    ["set_diff({1, 2}, {2})", "{1}"],
  ]);
});

describe("bits", () => {
  testExpressions([
    ["bits.and(-1, 255)", "255"],
    ["bits.or(-8, 5)", "-3"],
    ["bits.xor(-1, 1)", "-2"],
    ["bits.negate(18446744073709551615)", "-18446744073709551616"],
    ["bits.lsh(1, 100)", "1267650600228229401496703205376"],
    ["bits.lsh(0, 1e18)", "0"],
    ["bits.lsh(1, 1e18)", "error: bits.lsh: "],
    ["bits.rsh(-9, 1)", "-5"],
    ["bits.rsh(-9, 1e18)", "-1"],
    ["bits.rsh(9, 1e18)", "0"],
    ["bits.and(1.5, 1)", "error: bits.and: operand 1 must be integer number but got floating-point number"],
  ]);
});

describe("units", () => {
  testExpressions([
    ['units.parse("100m")', "0.1"],
    ['units.parse("1.5Ki")', "1536"],
    ['units.parse("-2k")', "-2000"],
    ['units.parse("0.1G")', "100000000"],
    ['units.parse("10kb")', "error: units.parse: unit kb not recognized"],
    ['units.parse("1e")', "1000000000000000000"],
    ['units.parse_bytes("1.9")', "1"],
    ['units.parse_bytes("1KIB")', "1024"],
    ['units.parse_bytes("1x")', "error: units.parse_bytes: byte unit x not recognized"],
    ['units.parse_bytes("+")', "error: units.parse_bytes: could not parse byte amount to a number"],
  ]);
});

describe("amounts that are not whole", () => {
  testExpressions([
    ['units.parse("1.23456789012345678901234567890")', "1.2345678901"],
    ['units.parse("0.00000000005")', "1e-10"],
    ['units.parse("1e-30000")', "0"],
    ['to_number("1e400")', 'error: to_number: strconv.ParseFloat: parsing "1e400": value out of range'],
  ]);
});

describe("semantic versions", () => {
  testExpressions([
    ['semver.compare("1.10.0", "1.9.0")', "1"],
    ['semver.compare("1.0.0-alpha", "1.0.0")', "-1"],
    ['semver.compare("1.0.0-alpha.1", "1.0.0-alpha")', "1"],
    ['semver.compare("1.0.0-2", "1.0.0-10")', "-1"],
    ['semver.compare("1.0.0-1", "1.0.0-a")', "-1"],
    ['semver.compare("1.0.0+a", "1.0.0+b")', "0"],
    ['semver.is_valid("1.0")', "false"],
    ['semver.is_valid("v1.0.0")', "true"],
    ['semver.compare("v1.0.0", "1.0.0")', "0"],
    ['semver.is_valid("01.0.0")', "false"],
    ['semver.is_valid("1.0.0-a.01")', "false"],
    ['semver.is_valid("1.0.0-0a")', "true"],
    ['semver.is_valid("9223372036854775808.0.0")', "false"],
    ['semver.is_valid("1.0.0-a..b")', "false"],
    ['semver.is_valid("1.0.0-rc.1+build.5")', "true"],
  ]);
});

describe("random numbers and UUIDs", () => {
  testExpressions([
    ['rand.intn("a", 0)', "0"],
    ['rand.intn("a", -1)', "0"],
    ['n := rand.intn("a", 5); n >= 0; n < 5; n == rand.intn("a", 5)', "true"],
    ['regex.match("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", uuid.rfc4122("a"))', "true"],
    ['[uuid.rfc4122("a") == uuid.rfc4122("b")]', "[false]"],
    ['uuid.parse("not")', "undefined"],
    ['uuid.parse("urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8").time', "886630433151182400"],
    ['uuid.parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8").macvariables', '"global:unicast"'],
    ['uuid.parse("00000000-0000-4000-c000-000000000000").variant', '"Microsoft"'],
  ]);
});

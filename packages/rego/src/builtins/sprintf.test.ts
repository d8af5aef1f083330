import { describe } from "vitest";
import { testExpressions } from "./expression.fixture.ts";

describe("sprintf", () => {
  testExpressions([
    // Plain verbs, with the types that Go sees.
    ['sprintf("%v %v %v %v", [1, "a", true, null])', '"1 a true null"'],
    ['sprintf("%v %v", [{"b": 1, "a": [1.5]}, {2, 1}])', '"{\\"a\\": [1.5], \\"b\\": 1} {1, 2}"'],
    ['sprintf("%v", [set()])', '"set()"'],
    ['sprintf("%v", [["\\u0007\\u0000\\u00e4\\u200b"]])', '"[\\"\\\\a\\\\x00\u00e4\\\\u200b\\"]"'],
    ['sprintf("%d", [28857836529306024611913])', '"28857836529306024611913"'],
    ['sprintf("%s", [5])', '"%!s(int64=5)"'],
    ['sprintf("%s", [0.5])', '"%!s(float64=0.5)"'],
    ['sprintf("%d", ["a"])', '"%!d(string=a)"'],
    ['sprintf("%d", [3.7])', '"%!d(float64=3.7)"'],
    ['sprintf("%t", [true])', '"%!t(string=true)"'],
    ['sprintf("%q", ["a\\"b\\n"])', '"\\"a\\\\\\"b\\\\n\\""'],
    ['sprintf("%x %X", ["hi", "hi"])', '"6869 6869"'],
    ['sprintf("% x|%#x", ["hi", "hi"])', '"68 69|0x6869"'],
    ['sprintf("%c%c", [65, 128512])', '"A\u{1f600}"'],
    ['sprintf("%U %#U", [65, 65])', "\"U+0041 U+0041 'A'\""],
    ['sprintf("%q", [65])', "\"'A'\""],
    ['sprintf("%b %o %O %x %X", [5, 8, 8, 255, 255])', '"101 10 0o10 ff FF"'],
    ['sprintf("%#b %#o %#x", [5, 8, 255])', '"0b101 010 0xff"'],
    ['sprintf("%T %T %T %T", [1, 1.5, "a", 28857836529306024611913])', '"int64 float64 string *big.Int"'],
    // Width, precision and flags.
    ['sprintf("[%5d][%-5d][%05d][%+d][% d]", [42, 42, 42, 42, 42])', '"[   42][42   ][00042][+42][ 42]"'],
    ['sprintf("[%05d][%.3d][%8.3d][%08.3d]", [-42, 7, 7, 7])', '"[-0042][007][     007][     007]"'],
    ['sprintf("[%.0d]", [0])', '"[]"'],
    ['sprintf("[%5s][%-5s][%.2s][%5.1s]", ["abc", "abc", "abc", "abc"])', '"[  abc][abc  ][ab][    a]"'],
    ['sprintf("[%5s]", ["\u{1f600}"])', '"[    \u{1f600}]"'],
    ['sprintf("[%*d][%-*d]", [5, 1, 3, 2])', '"[    1][2  ]"'],
    ['sprintf("[%.*f]", [2, 3.14159])', '"[3.14]"'],
    ['sprintf("%[2]d %[1]d", [1, 2])', '"2 1"'],
    ['sprintf("%[3]d", [1])', '"%!d(BADINDEX)"'],
    // Floating point.
    ['sprintf("%f %.1f %.0f", [1.5, 0.25, 2.5])', '"1.500000 0.2 2"'],
    ['sprintf("%.3f", [2.0005])', '"2.001"'],
    ['sprintf("%e %E", [1234.5678, 0.00012])', '"1.234568e+03 1.200000E-04"'],
    ['sprintf("%g %g %g", [0.00001, 1234567.5, 100000.5])', '"1e-05 1.2345675e+06 100000.5"'],
    ['sprintf("%.3g %.10g", [1234.5, 1234.5])', '"1.23e+03 1234.5"'],
    ['sprintf("%v", [0.1])', '"0.1"'],
    ['sprintf("%v", [1234567.5])', '"1.2345675e+06"'],
    [
      'sprintf("[%8.2f][%-8.2f][%08.2f][%+.1f]", [3.14159, 3.14159, -3.14159, 1.25])',
      '"[    3.14][3.14    ][-0003.14][+1.2]"',
    ],
    ['sprintf("%.20f", [0.1])', '"0.10000000000000000555"'],
    // What is wrong is said in the text.
    ['sprintf("%06.2f|%-7t|", [1, 2])', '"%!f(int64=    01)|%!t(int64=2      )|"'],
    ['sprintf("%d", [])', '"%!d(MISSING)"'],
    ['sprintf("a", [1, "b"])', '"a%!(EXTRA int64=1, string=b)"'],
    ['sprintf("%!", [])', '"%!!(MISSING)"'],
    ['sprintf("%", [])', '"%!(NOVERB)"'],
    ['sprintf("100%%", [])', '"100%"'],
    ['sprintf("%z", [1])', '"%!z(int64=1)"'],
    ['sprintf("%z", [28857836529306024611913])', '"%!z(big.Int=28857836529306024611913)"'],
    ['sprintf("%*d", ["a", 1])', '"%!(BADWIDTH)1"'],
    ['sprintf("%+v %#v", [5, "a"])', '"5 \\"a\\""'],
    ['sprintf("%v", ["a", "b"])', '"a%!(EXTRA string=b)"'],
    ['sprintf("%s", json.unmarshal("3"))', "error: "],
  ]);
});

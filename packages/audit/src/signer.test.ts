import { expect, it } from "vitest";
import { mayExtend, type SignedPosition, type SignerRefusal } from "./signer.ts";

const last: SignedPosition = { epoch: 2, size: 10, root: "aa" };

it("signs the first checkpoint, what extends the last one, and a new epoch", () => {
  expect(mayExtend(undefined, last, false).kind).toBe("extends");
  expect(mayExtend(last, { ...last, size: 11, root: "bb" }, true).kind).toBe("extends");
  expect(mayExtend(last, { epoch: 3, size: 1, root: "cc" }, false).kind).toBe("extends");
});

it("signs the last one again and says that it is nothing new", () => {
  expect(mayExtend(last, { ...last }, false).kind).toBe("unchanged");
});

const refused: readonly [SignerRefusal, SignedPosition, boolean][] = [
  ["epoch_regressed", { epoch: 1, size: 99, root: "aa" }, true],
  ["size_regressed", { ...last, size: 9 }, true],
  ["root_changed", { ...last, root: "bb" }, true],
  ["inconsistent", { ...last, size: 11 }, false],
];
it.each(refused)("R-LOG-3 trap-16 refuses with %s what does not extend what it signed", (reason, next, consistent) => {
  expect(mayExtend(last, next, consistent)).toEqual({ kind: "refused", reason });
});

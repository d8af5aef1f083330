import { describe } from "vitest";
import { testExpressions } from "./expression.fixture.ts";

describe("arrays", () => {
  testExpressions([
    ["array.slice([1, 2, 3], 2, 1)", "[]"],
    ["array.slice([1, 2, 3], 1, 1e30)", "[2, 3]"],
    ["array.slice([1], 0.5, 1)", "error: array.slice: operand 2 must be integer number"],
    ["array.flatten([[], [[1]], {2}])", "[[1], {2}]"],
  ]);
});

describe("objects", () => {
  testExpressions([
    ['object.get({"a": [{"b": 1}]}, ["a", 0, "b"], 2)', "1"],
    ['object.get({"a": {1}}, ["a", 1], 2)', "1"],
    ["object.get({[1]: 2}, [1], 3)", "3"],
    ['object.get({"a": 1}, [], 2)', '{"a": 1}'],
    ['object.get({"a": false}, "a", true)', "false"],
    ['object.filter({1: 2, "a": 3}, [1])', "{1: 2}"],
    ['object.remove({"__proto__": 1, "a": 2}, ["a"])', '{"__proto__": 1}'],
    ['object.union({"a": {"b": 1}}, {"a": {"c": {2}}})', '{"a": {"b": 1, "c": {2}}}'],
    ["object.union_n([])", "{}"],
    ['object.subset({"a": {"b": [1, 2, 3]}}, {"a": {"b": [2, 3]}})', "true"],
    ["object.subset({1: {2, 3}}, {1: {3}})", "true"],
    ["object.subset([1, 2, 3], [1, 3])", "false"],
    ["object.subset([[1, 2]], [[1]])", "false"],
    ["object.subset([], [])", "true"],
    ["object.subset({1}, [1])", "error: object.subset: both arguments object.subset must be of the same type"],
  ]);
});

describe("paths", () => {
  testExpressions([
    ['json.filter({"a/b": {"~": 1}, "c": 2}, ["a~1b/~0"])', '{"a/b": {"~": 1}}'],
    ['json.filter({"a": [1, 2, 3]}, ["a/2", "a/0"])', '{"a": [1, 3]}'],
    ['json.filter({"a": {"b": 1, "c": 2}}, ["a/b", "a"])', '{"a": {"b": 1, "c": 2}}'],
    ['json.filter({"a": 1}, ["/a"])', '{"a": 1}'],
    ['json.filter({"a": 1}, [])', "{}"],
    ["json.filter({1: {2: 3, 4: 5}}, [[1, 2]])", "{1: {2: 3}}"],
    ['json.remove({"a": {"b": 1}}, ["a/b/c", "x"])', '{"a": {"b": 1}}'],
    ['json.remove({"a": [1, 2, 3]}, ["a/0", "a/2"])', '{"a": [2]}'],
    ['json.remove({"a": {"x", "y"}}, ["a/x"])', '{"a": {"y"}}'],
  ]);
});

describe("patches", () => {
  testExpressions([
    ['json.patch({"a": [1]}, [{"op": "add", "path": "/a/0", "value": 0}])', '{"a": [0, 1]}'],
    ['json.patch({"a": [1]}, [{"op": "add", "path": ["a", "-"], "value": 0}])', '{"a": [1, 0]}'],
    ['json.patch({"a": [1]}, [{"op": "remove", "path": "/a/-"}])', "undefined"],
    [
      'json.patch({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "test", "path": "b", "value": 1}])',
      '{"a": 1, "b": 1}',
    ],
    ['json.patch({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}])', "undefined"],
    ['json.patch({1: 2}, [{"op": "replace", "path": [1], "value": 3}])', "{1: 3}"],
    ['json.patch({"a": {"x"}}, [{"op": "replace", "path": "a/x", "value": "y"}])', "undefined"],
    [
      'json.patch([1], [{"op": "test", "path": "/0", "value": 1}, {"op": "replace", "path": "/0", "value": {2}}])',
      "[{2}]",
    ],
    ["json.patch(1, [])", "1"],
    [
      'json.patch({"a": {"b": 1}}, [{"op": "add", "path": "/a/c", "value": 2}, {"op": "copy", "from": "/a", "path": "/d"}, {"op": "remove", "path": "/d/b"}])',
      '{"a": {"b": 1, "c": 2}, "d": {"c": 2}}',
    ],
    [
      '[[x, y] | x := {"a": {"b": 1}}; y := json.patch({}, [{"op": "add", "path": "/y", "value": x.a}, {"op": "add", "path": "/y/z", "value": 3}, {"op": "add", "path": "/y/w", "value": 4}])]',
      '[[{"a": {"b": 1}}, {"y": {"b": 1, "w": 4, "z": 3}}]]',
    ],
    ['json.patch({"a": 1}, [{"op": "remove", "path": ""}])', "undefined"],
  ]);
});

describe("graphs", () => {
  testExpressions([
    ['graph.reachable(object.union({"a": ["b"]}, json.unmarshal("{\\"b\\": null}")), ["a"])', '{"a", "b"}'],
    ['graph.reachable({"a": ["x"]}, {"a", "x"})', '{"a"}'],
    ["graph.reachable({1: {2}, 2: [1]}, [2])", "{1, 2}"],
    ['graph.reachable_paths({"a": ["a"]}, ["a"])', '{["a"]}'],
    ['graph.reachable_paths({"a": []}, ["a"])', '{["a"]}'],
    ['graph.reachable_paths({"a": ["b", "c"], "b": [], "c": []}, {"a"})', '{["a", "b"], ["a", "c"]}'],
    ['[p | walk({"a": [{1}]}, [p, _])]', '[[], ["a"], ["a", 0], ["a", 0, 1]]'],
    ["[v | walk(1, [_, v])]", "[1]"],
  ]);
});

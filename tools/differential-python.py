"""Writes cases/differential/python.json: how Python's json reads each document of cases/differential/documents.json.

Run by hand when the documents change: python3 tools/differential-python.py. No test needs Python.
"""
import json
import pathlib
import struct

folder = pathlib.Path(__file__).parent.parent / "cases" / "differential"


def canonical(value):
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf") if value > 0 else float("-inf")
        return "n" + struct.pack(">d", number if number != 0 else 0.0).hex()
    if isinstance(value, str):
        return "s" + ".".join(format(ord(point), "x") for point in value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    members = sorted(f"{canonical(name)}:{canonical(member)}" for name, member in value.items())
    return "{" + ",".join(members) + "}"


def read(text):
    try:
        return canonical(json.loads(text))
    except (ValueError, RecursionError):
        return None


documents = json.loads((folder / "documents.json").read_text("utf-8"))
cases = [{"text": text, "strict": strict, "python": read(text)} for strict, texts in documents.items() for text in texts]
(folder / "python.json").write_text(json.dumps(cases, indent=1, ensure_ascii=True) + "\n", "utf-8")

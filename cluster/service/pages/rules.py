"""Which fields of a table its schema refuses beside what is given, and so are not shown; and which it asks for."""

from collections.abc import Iterator, Mapping
from typing import Any

from vcm_sweep.sweep.study.json_schema import Schema


def refused(schema: Schema, table: Mapping[str, Any]) -> set[str]:
    """The names of fields that may not be given now.

    >>> rule = {"if": {"required": ["model"]}, "then": {"properties": {"hidden": False}}}
    >>> refused(rule, {"model": "mine:Net"}), refused(rule, {})
    ({'hidden'}, set())
    """
    names = set()
    for branch in _branches(schema, table):
        names |= {name for name, own in branch.get("properties", {}).items() if own is False}
        if only := branch.get("propertyNames", {}).get("enum"):
            names |= schema["properties"].keys() - set(only)
    return names


def needed(schema: Schema, table: Mapping[str, Any]) -> set[str]:
    """The names of fields that must be given now.

    >>> needed({"if": {"required": ["model"]}, "else": {"required": ["hidden"]}}, {})
    {'hidden'}
    """
    return {name for branch in _branches(schema, table) for name in branch.get("required", ())}


def _branches(schema: Schema, table: Mapping[str, Any]) -> Iterator[Schema]:
    """The schema, and those of its rules that hold now."""
    yield schema
    for rule in schema.get("allOf", ()):
        yield from _branches(rule, table)
    if "if" in schema:
        yield from _branches(schema.get("then" if _holds(schema["if"], table) else "else", {}), table)


def _holds(test: Schema, table: Mapping[str, Any]) -> bool:
    """Whether a condition of the schema holds; it has ``required``, ``not``, and ``properties`` of some words."""
    if "not" in test and _holds(test["not"], table):
        return False
    given = all(name in table for name in test.get("required", ()))
    return given and all(
        name not in table or table[name] in own.get("enum", [own.get("const")])
        for name, own in test.get("properties", {}).items()
    )

"""The JSON Schema of a study file, with which an editor completes and checks the file while it is written.

It has the names, types, ranges and words of all fields, and which fields may be given together. Rules that concern more
than one table (that a cell can be built, that names in [design.groups] are factors) are checked by ``Study`` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from vcm_sweep.device.declared import NEEDED, Declared
from vcm_sweep.sweep.study.catalogue import CATALOGUE
from vcm_sweep.sweep.study.distributions import LISTED
from vcm_sweep.sweep.study.factor_table import UNBOUNDED
from vcm_sweep.sweep.study.sections import BY_NAME, DEVICE, INTERVENTION, LAYER, MECHANISMS, PERIPHERY, PLAIN
from vcm_sweep.sweep.study.tables.aihwkit_device import DEVICES

Schema: TypeAlias = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The version of JSON Schema that editors' TOML plug-ins understand."""


def study_schema() -> Schema:
    """The schema of a study file, as plain JSON types.

    >>> study_schema()["properties"]["run"]["properties"]["retries"]["maximum"]
    100
    """
    return {
        "$schema": DRAFT,
        "title": "A study of vcm-sweep",
        "type": "object",
        "additionalProperties": False,
        "required": ["study", "network", "design"],
        "properties": {
            "study": table(PLAIN["study"]),
            "network": _network(),
            "device": _device(),
            "factor": {"type": "array", "minItems": 1, "items": _factor()},
            "condition": {"type": "array", "minItems": 2, "items": _condition()},
            "design": _design(),
            "run": table(PLAIN["run"]),
            "tolerance": table(PLAIN["tolerance"]) | _not_both("target", "drop"),
        },
        "if": {"properties": {"design": _CONDITIONS}},
        "then": {"properties": {"factor": False, "tolerance": False}},
        "else": {
            "properties": {"condition": False},
            "required": ["factor"],
            # Each factor alone is what limits are; all else compares two or more.
            "if": {"properties": {"design": _LIMITS}},
            "else": {"properties": {"factor": {"minItems": 2}}},
        },
    }


def field(declared: Declared) -> Schema:
    """The schema of one field.

    >>> field(Declared("whole", "trials side by side", 0, 1, 4096, instead={"auto": 0}))["anyOf"]
    [{'type': 'integer', 'minimum': 1, 'maximum': 4096}, {'enum': ['auto']}]
    """
    made = _kind(declared)
    if declared.instead:
        made = {"anyOf": [made, {"enum": list(declared.instead)}]}
    if declared.meaning:
        made["description"] = declared.meaning + (f" ({declared.unit})" if declared.unit else "")
    words = {value: word for word, value in declared.instead.items()}
    default = words.get(declared.default, declared.default) if declared.instead else declared.default
    if default is not NEEDED and default is not None and default != "":
        made["default"] = default
    return made


def table(fields: Mapping[str, Declared], more: Mapping[str, Schema] | None = None) -> Schema:
    """The schema of a table with the given fields and the sub-tables ``more``; other keys are refused."""
    made: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: field(declared) for name, declared in fields.items()} | dict(more or {}),
    }
    if needed := [name for name, declared in fields.items() if declared.default is NEEDED and not declared.only]:
        made["required"] = needed
    rules: list[Schema] = [
        {"if": _has(*declared.only), "else": {"properties": {name: False}}}
        | ({"then": {"required": [name]}} if declared.default is NEEDED else {})
        for name, declared in fields.items()
        if declared.only
    ]
    for name, declared in fields.items():
        if declared.formerly:
            made["properties"][declared.formerly] = made["properties"][name] | {"deprecated": True}
            rules.append(_not_both(name, declared.formerly))
    return made | ({"allOf": rules} if rules else {})


def _kind(declared: Declared) -> Schema:
    match declared.kind:
        case "number":
            return {"type": "number", **_range(declared)}
        case "whole":
            return {"type": "integer", **_range(declared)}
        case "word":
            return {"enum": list(declared.words)}
        case "flag":
            return {"type": "boolean"}
        case "text":
            pattern = {"pattern": f"^(?:{declared.pattern})$"} if declared.pattern else {}
            return {"type": "string", "minLength": 1, **pattern}
        case "wholes":
            return {"type": "array", "items": {"type": "integer", **_range(declared)}}
        case "table":
            return dict(declared.schema)


def _range(declared: Declared) -> Schema:
    return {"minimum": declared.low, "maximum": declared.high}


def _has(name: str, words: Sequence[str]) -> Schema:
    """A condition: the field is given, as one of these words."""
    return {"properties": {name: {"enum": list(words)}}, "required": [name]}


def _not_both(one: str, other: str) -> Schema:
    return {"not": {"required": [one, other]}}


_CONDITIONS: Schema = {"properties": {"method": {"const": "conditions"}}, "required": ["method"]}
_LIMITS: Schema = {"properties": {"method": {"const": "limits"}}, "required": ["method"]}


def _design() -> Schema:
    made = table(PLAIN["design"])
    made["required"].remove("n")
    counted = {"properties": {"n": False}, "required": ["baseline"]}
    others = {"properties": {"baseline": False, "conditions": False}, "required": ["n"]}
    return made | {"if": _CONDITIONS, "then": counted, "else": others}


def _condition() -> Schema:
    """[[condition]]: fields of [network] and [device], some of them, and values of factors."""
    made = table(PLAIN["condition"], {"network": _some(_network()), "device": _some(_device())})
    factors = {
        name: {"enum": list(known.words)} if known.words else _value(known.low, known.high, known.whole)
        for name, known in CATALOGUE.items()
    }
    made["properties"] |= factors
    made["patternProperties"] = {r"^aihwkit\.[A-Za-z_][A-Za-z0-9_]*$": {"type": "number"}}
    return made | {"dependencies": {"published_sd": ["published", "published_n"], "published_n": ["published_sd"]}}


def _some(made: Schema) -> Schema:
    """The schema of a table without what must be given, and without rules between fields: it lies over another."""
    kept = {key: value for key, value in made.items() if key in ("type", "additionalProperties", "properties")}
    inner = {
        name: _some(own) if own.get("type") == "object" else own for name, own in kept.get("properties", {}).items()
    }
    return kept | ({"properties": inner} if inner else {})


def _network() -> Schema:
    made = table(PLAIN["network"]) | _not_both("init", "start")
    made["required"].remove("hidden")
    own = {"properties": {"preset": False, "hidden": False, "activation": False}}
    lenet = {
        "if": _has("preset", ["lenet"]),
        "then": {"properties": {"hidden": False}},
        "else": {"required": ["hidden"]},
    }
    return made | {"if": {"required": ["model"]}, "then": own, "else": lenet}


def _device() -> Schema:
    """[device]: VCM cells, or a device of aihwkit's with its settings, whose names are not checked here."""
    aihwkit: dict[str, Schema] = {
        "aihwkit": {"enum": list(DEVICES), "description": "a device of aihwkit's instead of VCM cells"},
        "settings": {
            "type": "object",
            "additionalProperties": {"type": ["number", "boolean"]},
            "propertyNames": {"not": {"const": "construction_seed"}},
        },
    }
    layer = {name: table(fields) for name, fields in LAYER.items()}
    cells = _varying() | {"periphery": table(PERIPHERY)} | layer
    intervention = table(INTERVENTION, {"nominal": table(DEVICE, cells)})
    made = table(DEVICE, aihwkit | cells | {"intervention": intervention})
    either = {"propertyNames": {"enum": [*aihwkit, *layer]}}
    return made | {"if": {"required": ["aihwkit"]}, "then": either, "else": {"properties": {"settings": False}}}


def _varying() -> dict[str, Schema]:
    """The sub-tables of [device] for what varies."""
    made: dict[str, Schema] = {kind: table(fields) for kind, fields in MECHANISMS.items()}
    for kind, (names, fields) in BY_NAME.items():
        of_each = {name: table(fields) for name in names}
        made[kind] = {"type": "object", "additionalProperties": False, "properties": of_each}
    return made


def _factor() -> Schema:
    made = table(PLAIN["factor"])
    made["properties"]["name"] = {
        "anyOf": [{"enum": list(CATALOGUE)}, {"pattern": r"^aihwkit\.[A-Za-z_][A-Za-z0-9_]*$"}]
    }
    alike: dict[tuple[float, float, bool], list[str]] = {}
    for name, entry in CATALOGUE.items():
        if entry.words:
            choices = {"distribution": {"const": "categorical"}, "choices": {"items": {"enum": list(entry.words)}}}
            made["allOf"].append({"if": _has("name", [name]), "then": {"properties": choices}})
        else:
            alike.setdefault((entry.low, entry.high, entry.whole), []).append(name)
    made["allOf"] += [
        {
            "if": _has("name", names),
            "then": {"properties": dict.fromkeys(("range", "values", "choices"), _within(low, high, whole))},
        }
        for (low, high, whole), names in alike.items()
    ]
    made["allOf"] += [
        {"if": _has("distribution", LISTED), "then": {"properties": {"range": False}}},
        {"if": {"not": _has("distribution", (*UNBOUNDED, *LISTED))}, "then": {"required": ["range"]}},
    ]
    return made


def _within(low: float, high: float, whole: bool) -> Schema:
    return {"items": _value(low, high, whole)}


def _value(low: float, high: float, whole: bool) -> Schema:
    return {"type": "integer" if whole else "number", "minimum": low, "maximum": high}

"""How two studies differ, in words."""

import json
from typing import Any

from vcm_sweep.sweep.study.study import Study


def difference(there: Study, here: Study, but: str = "") -> str:
    """The first field in which two studies differ, outside the table ``but``: its values there and here."""
    a, b = (_flat({k: v for k, v in study.canonical().items() if k != but}) for study in (there, here))
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            return f"{name} is {a.get(name, 'absent')} there and {b.get(name, 'absent')} here"
    return "the same fields"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, sub in value.items() for k, v in _flat(sub, f"{prefix}{key}.").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, sub in enumerate(value, 1) for k, v in _flat(sub, f"{prefix}{i}.").items()}
    return {prefix.rstrip("."): json.dumps(value)}

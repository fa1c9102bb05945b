"""Fields and tables that stand in the wrong place of a study file, or under nearly the right name."""

from collections.abc import Iterator, Mapping
from typing import Any

from vcm_sweep.device.declared import Declared, declared
from vcm_sweep.sweep.errors import Mistakes, StudyError
from vcm_sweep.sweep.nearest_names import nearest_names
from vcm_sweep.sweep.study.tables.design import DesignSpec
from vcm_sweep.sweep.study.tables.device import CELL_FIELD, DEVICE_FIELDS
from vcm_sweep.sweep.study.tables.fields import brief
from vcm_sweep.sweep.study.tables.network import NetworkSpec
from vcm_sweep.sweep.study.tables.run import RunSpec
from vcm_sweep.sweep.study.tables.tolerance import ToleranceSpec

_TABLES = ("study", "network", "device", "factor", "condition", "design", "run", "tolerance")
_FIELDS: dict[str, Mapping[str, Declared]] = {
    "network": declared(NetworkSpec),
    "device": {**DEVICE_FIELDS, **CELL_FIELD},
    "design": declared(DesignSpec),
    "run": declared(RunSpec),
    "tolerance": declared(ToleranceSpec),
}


def put_right(table: dict[str, Any], own: Mapping[str, Mapping[str, Declared]]) -> None:
    """Move what stands in the wrong place of a file to where it belongs, so that only this is told of it.

    Args:
        table: the file; it is changed. own: fields of further tables, by the table's name.

    Raises:
        StudyError: a line for each field that belongs to another table and for each table that no study has.
    """
    fields = {**own, **_FIELDS}
    found = Mistakes()
    for where, given, mine in _places(table, fields):
        for key in [key for key, value in given.items() if key not in mine and not isinstance(value, Mapping)]:
            homes = [name for name, known in fields.items() if name != "factor" and key in known]
            if not homes:
                continue
            value = given.pop(key)
            if len(homes) == 1 and isinstance(home := table.setdefault(homes[0], {}), dict):
                home.setdefault(key, value)
            words = " or ".join(f"[{name}]" for name in homes)
            with found.noted():
                raise StudyError(
                    f"[{where}] {key} = {brief(value)} belongs to {words}: move it below "
                    f"{'that line' if len(homes) == 1 else 'one of these lines'}, before the next table"
                )
    for key in [key for key in table if key not in _TABLES]:
        near = nearest_names(key, _TABLES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_TABLES)}"
        with found.noted():
            raise StudyError(f"[top level] unknown key {key!r}; {hint}")
        value = table.pop(key)
        if near and near[0] not in table:
            table[near[0]] = value
    found.tell()


def _places(
    table: dict[str, Any], fields: Mapping[str, Mapping[str, Declared]]
) -> Iterator[tuple[str, dict[str, Any], set[str]]]:
    """The places of a file where a field may stand: what they are called, what is there, and which names are right."""
    yield "top level", table, set(_TABLES)
    for name, known in fields.items():
        mine = {*known, *(field.formerly for field in known.values())}
        given = table.get(name)
        for one in given if isinstance(given, list) else [given]:
            if isinstance(one, dict):
                yield name, one, mine

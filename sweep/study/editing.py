"""Changes in the text of a study file that keep its comments and layout."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import tomlkit
from tomlkit.items import AoT, Array, InlineTable, Table

from vcm_sweep.sweep.errors import StudyError

Place: TypeAlias = Sequence[str | int]
"""Where a value or a table is in a study file: the keys on the way to it, and numbers of those in a list of tables."""


def with_values(text: str, name: str, values: Mapping[str, int | str]) -> str:
    """The text with some values of table ``name`` changed, or added at its end; everything else is unchanged.

    >>> print(with_values("[design]  # ours\\nn = 8    # pairs\\n", "design", {"n": 16, "replicates": 2}), end="")
    [design]  # ours
    n = 16    # pairs
    replicates = 2
    """
    for key, value in values.items():
        text = with_value(text, (name, key), value)
    return text


def with_steps(text: str, dw_min: float | None, of_conditions: Sequence[float | None]) -> str:
    """The text with numbers in place of each ``dw_min = "auto"``, that of the study's [device] and of its conditions.

    Args:
        dw_min: of [device]; None for a device without one. of_conditions: those of the [[condition]] tables, in order.

    >>> print(with_steps('[device]\\ndw_min = "auto"  # ours\\n', 0.03, []), end="")
    [device]
    dw_min = 0.03  # ours
    """
    document = tomlkit.parse(text)
    own = document.get("device", {})
    of_all = own.get("dw_min") == "auto"
    for row, number in zip(document.get("condition", []), of_conditions, strict=False):
        table = row.get("device", {})
        if number is not None and "device.dw_min" not in row and table.get("dw_min", "auto" if of_all else 0) == "auto":
            row.setdefault("device", tomlkit.table())["dw_min"] = number
    if of_all:
        own["dw_min"] = dw_min
    return tomlkit.dumps(document)


def without_table(text: str, name: str) -> str:
    """The text without a table and its sub-tables, in whichever of TOML's notations they are written.

    >>> without_table('design = {n = 8}  # ours\\n[study]\\nname = "tiny"\\n', "design")
    '[study]\\nname = "tiny"\\n'
    """
    return without(text, (name,))


def found(tables: Any, place: Place) -> Any:
    """What is at a place of a parsed file; None where nothing is.

    >>> found({"factor": [{"name": "r"}]}, ("factor", 0, "name"))
    'r'
    """
    for key in place:
        if isinstance(tables, Mapping) and isinstance(key, str):
            tables = tables.get(key)
        elif isinstance(tables, list) and isinstance(key, int) and key < len(tables):
            tables = tables[key]
        else:
            return None
    return tables


def with_value(text: str, place: Place, value: Any) -> str:
    """The text with a value, or an empty table for ``{}``, at a place; tables on the way that are missing are made.

    A number just past the end of a list of tables makes one more. Raises StudyError where something else is on the way,
    and tomlkit's errors for a text that is not TOML.

    >>> print(with_value("", ("factor", 0, "range"), [0.0, 0.1]), end="")
    [[factor]]
    range = [0.0, 0.1]
    """
    return _edited(text, place, lambda tables: _put(tables, place, value))


def without(text: str, place: Place) -> str:
    """The text without what is at a place.

    >>> without("[network]\\nlr = 0.1  # rate\\nbatch = 8\\n", ("network", "lr"))
    '[network]\\nbatch = 8\\n'
    """
    return _edited(text, place, lambda tables: _take_out(tables, place))


def _edited(text: str, place: Place, change: Callable[[Any], None]) -> str:
    document = tomlkit.parse(text)
    wanted = document.unwrap()
    change(wanted)
    with suppress(ValueError, KeyError):
        change(document)
        made = tomlkit.dumps(document)
        if tomllib.loads(made) == wanted:
            return made
    # tomlkit puts a table beside dotted keys in a wrong place: write the whole of its table anew, without comments.
    document = tomlkit.parse(text)
    name = str(place[0])
    document.pop(name, None)
    if name in wanted:
        document[name] = tomlkit.item(wanted[name])
    return tomlkit.dumps(document)


def _put(tables: Any, place: Place, value: Any) -> None:
    """Put a value into tables of tomlkit, or plain ones."""
    here = tables
    for key, after in zip(place, [*place[1:], None], strict=True):
        last = after is None
        if last or found(here, (key,)) is None:
            made = _empty(here, after) if not last or value == {} else value
            if isinstance(here, list) and key == len(here):
                _append(here, made)
            elif isinstance(here, Mapping) and isinstance(key, str):
                _set(here, key, made)
            else:
                raise StudyError(f"[{'.'.join(map(str, place[:-1]))}] {place[-1]} has no place beside what is there")
        here = here[key]


def _take_out(tables: Any, place: Place) -> None:
    *way, key = place
    here = found(tables, way)
    if isinstance(here, dict) and isinstance(key, str) and key in here:
        del here[key]
    elif isinstance(here, list) and isinstance(key, int) and key < len(here):
        spare = _tail(here[key])
        del here[key]
        if isinstance(here, AoT) and here:
            kept = here[max(key - 1, 0)].value.body
            kept[len(kept) if key else 0 : 0] = spare
        if not here:
            _take_out(tables, way)


def _empty(here: Any, after: str | int | None) -> Any:
    """What to make for a missing key of ``here``: a list of tables where a number comes after it, else a table."""
    if not hasattr(here, "unwrap"):
        return [] if isinstance(after, int) else {}
    inline = isinstance(here, InlineTable | Array)
    if isinstance(after, int):
        return tomlkit.array() if inline else tomlkit.aot()
    return tomlkit.inline_table() if inline else tomlkit.table()


def _append(here: Any, table: Any) -> None:
    spare = _tail(here[-1]) if isinstance(here, AoT) and here else []
    if spare:
        here[-1].add(tomlkit.nl())
    here.append(table)
    if spare:
        here[-1].value.body.extend(spare)


def _set(here: Any, key: str | int, value: Any) -> None:
    spare = _tail(here) if key not in here else []
    here[key] = value
    if spare:
        here.value.body.extend(spare)


def _tail(table: Any) -> list[Any]:
    """Cut off the comments and empty lines after the last key: they mostly belong to what comes next."""
    if not isinstance(table, Table):
        return []
    body = table.value.body
    last = next((at for at in range(len(body), 0, -1) if body[at - 1][0] is not None), 0)
    spare = body[last:]
    del body[last:]
    return spare

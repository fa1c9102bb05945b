"""Changes in the text of a study file that keep its comments and layout."""

from collections.abc import Mapping, Sequence

import tomlkit
from tomlkit.items import Table


def with_values(text: str, name: str, values: Mapping[str, int | str]) -> str:
    """The text with some values of table ``name`` changed, or added at its end; everything else is unchanged.

    >>> print(with_values("[design]  # ours\\nn = 8    # pairs\\n", "design", {"n": 16, "replicates": 2}), end="")
    [design]  # ours
    n = 16    # pairs
    replicates = 2
    """
    document = tomlkit.parse(text)
    if name not in document:
        document[name] = tomlkit.table()
    table = document[name]
    # Comments and empty lines after the last key mostly belong to the next table, so new keys go before them.
    body = table.value.body if isinstance(table, Table) else []
    last = next((at for at in range(len(body), 0, -1) if body[at - 1][0] is not None), 0)
    tail = body[last:]
    del body[last:]
    for key, value in values.items():
        table[key] = value
    body.extend(tail)
    return tomlkit.dumps(document)


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
    document = tomlkit.parse(text)
    if name in document:
        document.remove(name)
    return tomlkit.dumps(document)

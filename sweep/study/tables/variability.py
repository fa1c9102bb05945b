"""The sub-tables of [device] for what varies in a study's cells, and the ``Variability`` that they describe."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from vcm_sweep.device.declared import NEEDED, Declared, declared
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.variability import (
    TARGETS,
    VARYING,
    Correlation,
    Mismatch,
    PulseError,
    ReadNoise,
    Spread,
    StuckCells,
    TargetWalk,
    TelegraphNoise,
    Variability,
    Walk,
    Window,
    WriteError,
)
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.nearest_names import did_you_mean
from vcm_sweep.sweep.study.tables.fields import Fields

NAMED: dict[str, tuple[type, tuple[str, ...]]] = {
    "d2d": (Spread, tuple(CellParameters.names())),
    "c2c": (Walk, VARYING),
    "target": (TargetWalk, TARGETS),
    "window": (Spread, ("w_min", "w_max")),
}
"""Mechanisms with a sub-table per name."""

ALONE: dict[str, type] = {
    "mismatch": Mismatch,
    "read_noise": ReadNoise,
    "telegraph": TelegraphNoise,
    "write": WriteError,
    "pulse_error": PulseError,
}
"""Mechanisms with one sub-table."""

STUCK: Mapping[str, Declared] = {
    **declared(StuckCells),
    "total": dataclasses.replace(
        declared(StuckCells)["low"], meaning="share of cells stuck, half of them at either end"
    ),
}
"""[device.stuck]. Half of ``total`` is added to each end, so that one factor can vary both."""

CORRELATION: Mapping[str, Declared] = {
    "names": Declared(
        "table",
        "of parameters in d2d, e.g. ['r', 'l']",
        NEEDED,
        schema={"type": "array", "items": {"enum": CellParameters.names()}},
    ),
    "matrix": Declared(
        "table",
        "of their correlations, e.g. [[1.0, 0.5], [0.5, 1.0]]",
        NEEDED,
        schema={"type": "array", "items": {"type": "array", "items": {"type": "number", "minimum": -1, "maximum": 1}}},
    ),
}
"""[device.correlation]."""

MECHANISMS = (*NAMED, *ALONE, "stuck", "correlation")
"""The names of all sub-tables of [device] for what varies."""

# The tables of mechanisms that are off. A canonical table leaves them out, so that results of versions that did not
# have these mechanisms keep their keys. Must never be changed.
_OFF: dict[str, dict[str, Any]] = {
    "target": {},
    "window": {},
    "correlation": {},
    "telegraph": {"amplitude": 0.0, "fraction": 1.0, "switching": 0.01, "state_exponent": 0.0},
    "write": {"sigma": 0.0},
    "stuck": {"low": 0.0, "high": 0.0, "total": 0.0},
    "pulse_error": {"amplitude": 0.0, "width": 0.0, "clip": 3.0},
}
_NO_FLICKER = {"flicker": 0.0, "decades": 3}


def canonical_variability(fields: Fields) -> dict[str, Any]:
    """The sub-tables of all mechanisms, read from [device]: each written out in full, or left out if it is in ``_OFF``.

    Raises:
        StudyError: an unknown name or key, or a value outside its range.
    """
    plain: dict[str, Any] = {}
    for kind, (mechanism, names) in NAMED.items():
        given = fields.table(kind)
        for name in given:
            if name not in names:
                hint = did_you_mean(name, names, f"one of {', '.join(names)}")
                raise StudyError(f"[device.{kind}] unknown name {name!r}; {hint}")
        fits = declared(mechanism)
        plain[kind] = {name: _read(fits, sub, f"device.{kind}.{name}") for name, sub in sorted(given.items())}
    for kind, mechanism in ALONE.items():
        plain[kind] = _read(declared(mechanism), fields.table(kind), f"device.{kind}")
    noise = plain["read_noise"]
    if _NO_FLICKER.items() <= noise.items():
        plain["read_noise"] = {"sigma": noise["sigma"]}
    plain["stuck"] = _read(STUCK, fields.table("stuck"), "device.stuck")
    plain["correlation"] = _correlation(fields.table("correlation"))
    return {kind: table for kind, table in plain.items() if table != _OFF.get(kind)}


def build_variability(plain: dict[str, Any]) -> Variability:
    """The variability that a canonical [device] table describes; DeviceError if it is not valid."""
    # A factor may have set a single number of a table that was left out, so the other numbers are filled in.
    tables = {kind: {**off, **plain.get(kind, {})} for kind, off in _OFF.items()}
    tables |= {kind: plain[kind] for kind in ("d2d", "c2c", "mismatch")}
    tables["read_noise"] = _NO_FLICKER | plain["read_noise"]
    named: dict[str, Any] = {
        kind: {name: _built(mechanism, sub, f"{kind}.{name}") for name, sub in tables[kind].items()}
        for kind, (mechanism, _) in NAMED.items()
    }
    alone: dict[str, Any] = {kind: _built(mechanism, tables[kind], kind) for kind, mechanism in ALONE.items()}
    stuck = tables["stuck"]
    if sum(stuck.values()) > 1 + 1e-12:
        raise DeviceError(f"stuck: low + high + total = {sum(stuck.values()):g} must be at most 1: lower one of them")
    return Variability(
        d2d=named["d2d"],
        correlation=Correlation(**tables["correlation"]) if tables["correlation"] else None,
        c2c=named["c2c"],
        targets=named["target"],
        window=Window(**named["window"]),
        stuck=StuckCells(stuck["low"] + 0.5 * stuck["total"], stuck["high"] + 0.5 * stuck["total"]),
        pulse=alone.pop("pulse_error"),
        **alone,
    )


def _built(mechanism: type, table: dict[str, Any], where: str) -> Any:
    """The mechanism that a table describes; the message of a DeviceError begins with ``where``."""
    try:
        return mechanism(**table)
    except DeviceError as error:
        raise DeviceError(f"{where}: {error}") from None


def _read(declarations: Mapping[str, Declared], table: Any, name: str) -> dict[str, Any]:
    """The values of all fields of a mechanism's table."""
    fields = Fields(table, name)
    plain = fields.all(declarations)
    fields.finish()
    return plain


def _correlation(table: dict[str, Any]) -> dict[str, Any]:
    """The table with its names in the order of CellParameters, so that equal correlations have equal tables.

    Empty if there is no correlation.
    """
    if not table:
        return {}
    names, matrix = table.get("names"), table.get("matrix")
    good = isinstance(names, list) and isinstance(matrix, list) and all(isinstance(row, list) for row in matrix)
    if not good or set(table) != {"names", "matrix"}:
        raise StudyError('[device.correlation] must be names = ["r", "l"] and matrix = [[1.0, 0.5], [0.5, 1.0]]')
    assert isinstance(names, list)
    assert isinstance(matrix, list)
    try:
        Correlation(tuple(names), tuple(map(tuple, matrix)))
    except DeviceError as error:
        raise StudyError(f"[device] {error}") from None
    order = sorted(range(len(names)), key=lambda i: CellParameters.names().index(names[i]))
    return {"names": [names[i] for i in order], "matrix": [[float(matrix[i][j]) for j in order] for i in order]}

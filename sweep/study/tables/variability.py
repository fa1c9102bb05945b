"""What varies in a study's cells: the sub-tables of [device] for it, and the variability that they describe."""

import dataclasses
import difflib
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
"""[device.stuck]; total adds half of itself to either end, so that one factor can stand for both."""

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
"""Sub-tables of [device] for all that varies."""

# What the versions that did not know these mechanisms did: left out of a canonical table where it holds, so that
# their results keep their keys. Never changed.
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
    """The sub-tables of all mechanisms, read from [device]: in full, or left out where they are off and plain.

    Raises:
        StudyError: an unknown name or key, or a value outside its range.
    """
    plain: dict[str, Any] = {}
    for kind, (mechanism, names) in NAMED.items():
        given = fields.table(kind)
        for name in given:
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(names)}"
                raise StudyError(f"[device.{kind}] unknown name {name!r}; {hint}")
        fits = declared(mechanism)
        plain[kind] = {name: _read(fits, sub, f"device.{kind}.{name}") for name, sub in sorted(given.items())}
    for kind, mechanism in ALONE.items():
        table = fields.table(kind)
        plain[kind] = _read(declared(mechanism), _white(table) if kind == "read_noise" else table, f"device.{kind}")
    noise = plain["read_noise"]
    noise = {"sigma": noise.pop("white"), **({} if noise == _NO_FLICKER else noise)}
    plain |= {"read_noise": noise, "stuck": _read(STUCK, fields.table("stuck"), "device.stuck")}
    plain["correlation"] = _correlation(fields.table("correlation"))
    return {kind: table for kind, table in plain.items() if table != _OFF.get(kind)}


def build_variability(plain: dict[str, Any]) -> Variability:
    """The variability that a canonical [device] table describes; DeviceError if it cannot be."""
    # A factor may have put one number where a table was left out.
    tables = {kind: {**off, **plain.get(kind, {})} for kind, off in _OFF.items()}
    tables |= {kind: plain[kind] for kind in ("d2d", "c2c", "mismatch")}
    tables["read_noise"] = _white(_NO_FLICKER | plain["read_noise"])
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
    """The mechanism of a table; what it refuses names the table."""
    try:
        return mechanism(**table)
    except DeviceError as error:
        raise DeviceError(f"{where}: {error}") from None


def _read(declarations: Mapping[str, Declared], table: Any, name: str) -> dict[str, Any]:
    """All fields of a mechanism's table."""
    fields = Fields(table, name)
    plain = fields.all(declarations)
    fields.finish()
    return plain


def _white(table: dict[str, Any]) -> dict[str, Any]:
    """``read_noise.sigma`` is another word for its white part."""
    if {"sigma", "white"} <= set(table):
        raise StudyError("[device.read_noise] sigma and white are two words for one number: keep one")
    return {"white" if key == "sigma" else key: value for key, value in table.items()}


def _correlation(table: dict[str, Any]) -> dict[str, Any]:
    """Names in the order of the parameters, so that one correlation has one table; empty where there is none."""
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

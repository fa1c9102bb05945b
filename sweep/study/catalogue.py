"""The catalogue of factors: what a study can vary, and where each enters a trial's inputs.

Names of the nonidealities are ``<parameter>.<mechanism>.<moment>``. ``network.lr`` is the learning rate, and
``aihwkit.<field>`` any number of aihwkit's own device, where the study names one.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import Declared, declared
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.variability import TARGETS, VARYING, Spread, TargetWalk, Walk
from vcm_sweep.sweep.study.tables.network import NetworkSpec
from vcm_sweep.sweep.study.tables.variability import ALONE, STUCK


@dataclass(frozen=True)
class CatalogueEntry:
    """A known factor: its path in a trial's inputs, allowed range, unit and meaning."""

    path: tuple[str, ...]
    low: float
    high: float
    unit: str
    meaning: str


# Factors that are a single number of a mechanism: the mechanism's sub-table of [device], and the field there.
_ALONE: dict[str, tuple[str, str]] = {
    "mismatch.global.mean": ("mismatch", "mean"),
    "mismatch.d2d.sigma": ("mismatch", "sigma"),
    "read.noise.sigma": ("read_noise", "sigma"),
    "read.flicker.sigma": ("read_noise", "flicker"),
    "read.telegraph.amplitude": ("telegraph", "amplitude"),
    "write.error.sigma": ("write", "sigma"),
    "pulse.amplitude.sigma": ("pulse_error", "amplitude"),
    "pulse.width.sigma": ("pulse_error", "width"),
}


def _entries() -> Iterator[tuple[str, CatalogueEntry]]:
    def of(field: Declared, path: tuple[str, ...], what: str = "") -> CatalogueEntry:
        """An entry for a declared field; an X in its meaning is replaced by ``what``, the name of what varies."""
        words = field.meaning.split()
        meaning = " ".join(what if word == "X" else word for word in words)
        return CatalogueEntry(path, field.low, field.high, field.unit or "1", meaning)

    for name in CellParameters.names():
        yield f"{name}.d2d.sigma", of(declared(Spread)["sigma"], ("device", "d2d", name, "sigma"), name)
    for name in VARYING:
        for moment in ("direct", "slope"):
            yield f"{name}.c2c.{moment}", of(declared(Walk)[moment], ("device", "c2c", name, moment), name)
    for name in TARGETS:
        yield f"{name}.target.sigma", of(declared(TargetWalk)["sigma"], ("device", "target", name, "sigma"), name)
    for name in ("w_min", "w_max"):
        what = f"the window's {name}"
        yield f"window.{name}.sigma", of(declared(Spread)["sigma"], ("device", "window", name, "sigma"), what)
    for factor, (table, field) in _ALONE.items():
        yield factor, of(declared(ALONE[table])[field], ("device", table, field))
    for end, declaration in STUCK.items():
        yield f"stuck.{end}.fraction", of(declaration, ("device", "stuck", end))
    for name, declaration in declared(CellParameters).items():
        whole_array = dataclasses.replace(declaration, meaning=f"{name} of the whole array")
        yield f"{name}.global.mean", of(whole_array, ("device", name))
    yield "network.lr", of(declared(NetworkSpec)["lr"], ("network", "lr"))


CATALOGUE = dict(_entries())
_AIHWKIT = "aihwkit."


def entry(name: str) -> CatalogueEntry | None:
    """The catalogue's entry for a name, or one for a field of aihwkit's device; None if there is no such factor."""
    if name.startswith(_AIHWKIT) and name.removeprefix(_AIHWKIT).isidentifier():
        field = name.removeprefix(_AIHWKIT)
        return CatalogueEntry(("device", "settings", field), -1e9, 1e9, "aihwkit", f"{field} of aihwkit's device")
    return CATALOGUE.get(name)


def apply_factors(inputs: dict[str, Any], values: dict[str, float]) -> dict[str, Any]:
    """A trial's inputs: the canonical [network] and [device] tables with the factors' values in their places.

    ``inputs`` is not changed. The result shares with it all tables that no factor changes.
    """
    # Sharing saves memory: a study of 100,000 trials has as many of these.
    changed = dict(inputs)
    for name, value in values.items():
        found = entry(name)
        assert found is not None, "checked when the study was read"
        *path, last = found.path
        table = changed
        for key in path:
            table[key] = dict(table.get(key, {}))
            table = table[key]
        table[last] = value
    return changed

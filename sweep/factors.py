"""The catalogue of factors: what a study can vary, and where each enters a trial's inputs.

Names of the nonidealities are ``<parameter>.<mechanism>.<moment>``. ``network.lr`` is the learning rate, and
``aihwkit.<field>`` any number of aihwkit's own device, where the study names one.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.parameters import CellParameters
from vcm_sweep.device.variability import TARGETS, VARYING, Spread, TargetWalk, Walk, bounds

from .errors import StudyError
from .fields import Fields
from .variability_table import ALONE

DISTRIBUTIONS = ("uniform", "loguniform")
# A range narrower than this part of its ends holds a handful of numbers.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class CatalogueEntry:
    """A factor that exists: path into a trial's inputs, allowed range, unit and meaning."""

    path: tuple[str, ...]
    low: float
    high: float
    unit: str
    meaning: str


# Factors of one mechanism alone: name, where its number is in [device], its unit and meaning.
_ALONE: tuple[tuple[str, tuple[str, str], str, str], ...] = (
    ("mismatch.global.mean", ("mismatch", "mean"), "ln", "change of ln(RESET/SET) in every cell"),
    ("mismatch.d2d.sigma", ("mismatch", "sigma"), "ln", "spread of ln(RESET/SET) from cell to cell"),
    ("read.noise.sigma", ("read_noise", "white"), "relative", "read noise, in parts of the cell's read current"),
    ("read.flicker.sigma", ("read_noise", "flicker"), "relative", "1/f noise, in parts of the cell's read current"),
    ("read.telegraph.amplitude", ("telegraph", "amplitude"), "relative", "jump of the read current by a trap"),
    ("write.error.sigma", ("write", "sigma"), "window", "error of programmed weights, in parts of the window"),
    ("pulse.amplitude.sigma", ("pulse_error", "amplitude"), "relative", "error of each pulse's voltage"),
    ("pulse.width.sigma", ("pulse_error", "width"), "relative", "error of each pulse's length"),
)
_STUCK = {
    "low": "cells stuck at the low end",
    "high": "cells stuck at the high end",
    "total": "cells stuck, half of them at either end",
}


def _entries() -> Iterator[tuple[str, CatalogueEntry]]:
    def of(mechanism: type, field: str, path: tuple[str, ...], unit: str, meaning: str) -> CatalogueEntry:
        return CatalogueEntry(("device", *path), *bounds(mechanism, field), unit, meaning)

    for name in CellParameters.names():
        meaning = f"spread of {name} from cell to cell"
        yield f"{name}.d2d.sigma", of(Spread, "sigma", ("d2d", name, "sigma"), "relative", meaning)
    for name in VARYING:
        for moment, meaning in (
            ("direct", f"random step of {name} after every pulse"),
            ("slope", f"random step of {name} in proportion to the pulse's effect"),
        ):
            yield f"{name}.c2c.{moment}", of(Walk, moment, ("c2c", name, moment), "relative", meaning)
    for name in TARGETS:
        meaning = f"spread of the targets to which {name} moves during pulses"
        yield f"{name}.target.sigma", of(TargetWalk, "sigma", ("target", name, "sigma"), "relative", meaning)
    for name in ("w_min", "w_max"):
        meaning = f"spread of the window's {name} from cell to cell"
        yield f"window.{name}.sigma", of(Spread, "sigma", ("window", name, "sigma"), "relative", meaning)
    for factor, (table, field), unit, meaning in _ALONE:
        # The white part of the read noise is named sigma in a table.
        place = (table, "sigma" if field == "white" else field)
        yield factor, of(ALONE[table], field, place, unit, meaning)
    for field, meaning in _STUCK.items():
        share = CatalogueEntry(("device", "stuck", field), 0, 1, "relative", f"share of {meaning}")
        yield f"stuck.{field}.fraction", share
    for name in CellParameters.names():
        low, high = CellParameters.bounds(name)
        yield (
            f"{name}.global.mean",
            CatalogueEntry(("device", name), low, high, CellParameters.unit(name), f"{name} of the whole array"),
        )
    yield "network.lr", CatalogueEntry(("network", "lr"), 1e-9, 100, "1", "learning rate")


CATALOGUE = dict(_entries())
_AIHWKIT = "aihwkit."


def entry(name: str) -> CatalogueEntry | None:
    """The catalogue's entry, or one for a field of aihwkit's device; None for what does not exist."""
    if name.startswith(_AIHWKIT) and name.removeprefix(_AIHWKIT).isidentifier():
        field = name.removeprefix(_AIHWKIT)
        return CatalogueEntry(("device", "settings", field), -1e9, 1e9, "aihwkit", f"{field} of aihwkit's device")
    return CATALOGUE.get(name)


@dataclass(frozen=True)
class Factor:
    """A factor of a study, with the range over which it varies."""

    name: str
    low: float
    high: float
    distribution: str = "uniform"

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return self._entry.unit

    @property
    def meaning(self) -> str:
        """What varies, in words."""
        return self._entry.meaning

    @property
    def path(self) -> tuple[str, ...]:
        """Where the value goes in a trial's inputs."""
        return self._entry.path

    @property
    def _entry(self) -> CatalogueEntry:
        found = entry(self.name)
        assert found is not None, "checked by from_table"
        return found

    @classmethod
    def from_table(cls, table: Any, number: int) -> "Factor":
        """A factor from its ``[[factor]]`` table; StudyError says what is wrong."""
        fields = Fields(table, f"factor {number}")
        name = fields.text("name")
        known = entry(name)
        if known is None:
            near = difflib.get_close_matches(name, CATALOGUE, 3, 0.4)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "none is near"
            raise StudyError(f"[factor {number}] unknown factor {name!r}; {hint} (vcm-sweep plan --factors lists all)")
        bounds = fields.rest()
        distribution = bounds.pop("distribution", "uniform")
        span = bounds.pop("range", None)
        if bounds:
            raise StudyError(f"[factor {number}] unknown key {sorted(bounds)[0]!r}; known: name, range, distribution")
        if distribution not in DISTRIBUTIONS:
            raise StudyError(
                f"[factor {number}] distribution = {distribution!r} must be one of "
                f"{', '.join(map(repr, DISTRIBUTIONS))}"
            )
        if not isinstance(span, list) or len(span) != 2:
            raise StudyError(f"[factor {number}] range = {span!r} must be [low, high]")
        ends = Fields({"low": span[0], "high": span[1]}, f"factor {number}: {name}")
        low, high = (ends.number(end, known.low, known.high) for end in ("low", "high"))
        if not low < high:
            raise StudyError(f"[factor {number}] {name}: low = {low:g} must be below high = {high:g}")
        if high - low <= _ROUNDING * max(abs(low), abs(high)):
            raise StudyError(
                f"[factor {number}] {name}: low = {low!r} and high = {high!r} differ by rounding only, so it would "
                "never vary: widen the range, or set it in [device]"
            )
        if distribution == "loguniform" and low <= 0:
            raise StudyError(f"[factor {number}] {name}: low = {low:g} must be above 0 for a loguniform range")
        return cls(name, low, high, str(distribution))


def apply_factors(inputs: dict[str, Any], values: dict[str, float]) -> dict[str, Any]:
    """A trial's inputs, the canonical [network] and [device] tables, with the factors' values in their places.

    What is given is left as it is; tables without a factor are the same objects in what comes back.
    """
    # Tables that change are copied, all others shared: a study of 100,000 trials makes as many of these.
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

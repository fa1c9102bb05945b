"""The catalogue of factors: what a study can vary, and where each enters a trial's inputs.

Names of the nonidealities are ``<parameter>.<mechanism>.<moment>``. ``network.lr`` is the learning rate, and
``aihwkit.<field>`` any number of aihwkit's own device, where the study names one.
"""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import NEEDED, Declared, declared
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.variability import TARGETS, VARYING, Spread, TargetWalk, Walk
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.fields import Fields
from vcm_sweep.sweep.study.tables.network import NetworkSpec
from vcm_sweep.sweep.study.tables.variability import ALONE, STUCK

FACTOR_FIELDS: Mapping[str, Declared] = {
    "name": Declared(
        "text",
        "PARAMETER.MECHANISM.MOMENT for the cell, aihwkit.FIELD, or network.lr; vcm-sweep plan --factors",
        NEEDED,
    ),
    "range": Declared(
        "table",
        "its two ends, [low, high]",
        NEEDED,
        schema={"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    ),
    "distribution": Declared("word", "over the range", "uniform", words=("uniform", "loguniform")),
}
"""[[factor]]."""
# The smallest width of a range relative to its ends; a narrower one contains only a few floating-point numbers.
_ROUNDING = 1e-12


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


@dataclass(frozen=True)
class Factor:
    """A factor of a study, with the range over which it varies."""

    name: str
    low: float
    high: float
    distribution: str = "uniform"

    @property
    def unit(self) -> str:
        """The unit of the values."""
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
        if unknown := sorted(fields.given - FACTOR_FIELDS.keys()):
            raise StudyError(f"[factor {number}] unknown key {unknown[0]!r}; known: {', '.join(FACTOR_FIELDS)}")
        distribution = fields.all({"distribution": FACTOR_FIELDS["distribution"]})["distribution"]
        span = fields.rest().get("range")
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
        return cls(name, low, high, distribution)


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

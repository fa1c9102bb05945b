"""The catalogue of factors: which nonidealities a study can vary, and where each enters the [device] table.

Names are ``<parameter>.<mechanism>.<moment>``.
"""

import copy
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.parameters import CellParameters
from vcm_sweep.device.variability import VARYING

from .errors import StudyError
from .fields import Fields

DISTRIBUTIONS = ("uniform", "loguniform")


@dataclass(frozen=True)
class CatalogueEntry:
    """A factor that exists: path into the [device] table, allowed range, unit and meaning."""

    path: tuple[str, ...]
    low: float
    high: float
    unit: str
    meaning: str


def _entries() -> Iterator[tuple[str, CatalogueEntry]]:
    for name in VARYING:
        yield (
            f"{name}.d2d.sigma",
            CatalogueEntry(("d2d", name, "sigma"), 0, 10, "relative", f"spread of {name} from cell to cell"),
        )
        yield (
            f"{name}.c2c.direct",
            CatalogueEntry(("c2c", name, "direct"), 0, 1, "relative", f"random step of {name} after every pulse"),
        )
        yield (
            f"{name}.c2c.slope",
            CatalogueEntry(
                ("c2c", name, "slope"), 0, 1, "relative", f"random step of {name} in proportion to the pulse's effect"
            ),
        )
    yield (
        "mismatch.global.mean",
        CatalogueEntry(("mismatch", "mean"), -5, 5, "ln", "change of ln(RESET/SET) in every cell"),
    )
    yield (
        "mismatch.d2d.sigma",
        CatalogueEntry(("mismatch", "sigma"), 0, 5, "ln", "spread of ln(RESET/SET) from cell to cell"),
    )
    yield (
        "read.noise.sigma",
        CatalogueEntry(("read_noise", "sigma"), 0, 1, "relative", "read noise, in parts of the cell's read current"),
    )
    for name in CellParameters.names():
        low, high = CellParameters.bounds(name)
        yield (
            f"{name}.global.mean",
            CatalogueEntry((name,), low, high, CellParameters.unit(name), f"{name} of the whole array"),
        )


CATALOGUE = dict(_entries())


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
        return CATALOGUE[self.name].unit

    @property
    def meaning(self) -> str:
        """What varies, in words."""
        return CATALOGUE[self.name].meaning

    @classmethod
    def from_table(cls, table: Any, number: int) -> "Factor":
        """A factor from its ``[[factor]]`` table; StudyError says what is wrong."""
        fields = Fields(table, f"factor {number}")
        name = fields.text("name")
        if name not in CATALOGUE:
            near = difflib.get_close_matches(name, CATALOGUE, 3, 0.4)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "none is near"
            raise StudyError(f"[factor {number}] unknown factor {name!r}; {hint} (vcm-sweep plan --factors lists all)")
        entry = CATALOGUE[name]
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
        low, high = ends.number("low", entry.low, entry.high), ends.number("high", entry.low, entry.high)
        if not low < high:
            raise StudyError(f"[factor {number}] {name}: low = {low:g} must be below high = {high:g}")
        if distribution == "loguniform" and low <= 0:
            raise StudyError(f"[factor {number}] {name}: low = {low:g} must be above 0 for a loguniform range")
        return cls(name, low, high, str(distribution))


def apply_factors(device: dict[str, Any], values: dict[str, float]) -> dict[str, Any]:
    """The canonical [device] table with the factors' values in their places."""
    changed = copy.deepcopy(device)
    for name, value in values.items():
        *path, last = CATALOGUE[name].path
        table = changed
        for key in path:
            table = table.setdefault(key, {})
        table[last] = value
    return changed

"""The factors of a study: which of the catalogue vary, and over which ranges."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import NEEDED, Declared
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.catalogue import CATALOGUE, CatalogueEntry, entry
from vcm_sweep.sweep.study.tables.fields import Fields

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

    def field_value(self, value: float) -> Any:
        """What a value of the factor puts into its field."""
        return self._entry.field_value(value)

    def value_of(self, field_value: Any) -> float:
        """The factor's value that puts ``field_value`` into its field."""
        return self._entry.value_of(field_value)

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

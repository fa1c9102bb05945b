"""The factors of a study: which of the catalogue vary, and over which ranges."""

import math
from dataclasses import dataclass
from typing import Any

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.nearest_names import did_you_mean
from vcm_sweep.sweep.study.catalogue import CATALOGUE, CatalogueEntry, entry
from vcm_sweep.sweep.study.distributions import Distribution
from vcm_sweep.sweep.study.factor_table import FACTOR_FIELDS, read_distribution, whole_numbers
from vcm_sweep.sweep.study.tables.fields import Fields


@dataclass(frozen=True)
class Factor:
    """A factor of a study, with the range over which it varies."""

    name: str
    law: Distribution

    @property
    def low(self) -> float:
        """The lower end of what is sampled, in the unit of the values."""
        return self.law.low

    @property
    def high(self) -> float:
        """The upper end of what is sampled."""
        return self.law.high

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

    def comparable(self, value: float) -> float:
        """The value with the meaning of those in the factor's range.

        Raises:
            ValueError: it has none, as 0 where that stands for all, or never.
        """
        known = self._entry
        if (value <= known.turn) != (self.high <= known.turn):
            # A step as a share of the range, against a number of steps.
            value = 1.0 / value if value else math.nan
        if math.isnan(value) or (known.whole and value < known.low):
            raise ValueError(f"{self.name} = {value:g}")
        return value

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
            hint = did_you_mean(name, CATALOGUE, "none is near", most=3, cutoff=0.4)
            raise StudyError(f"[factor {number}] unknown factor {name!r}; {hint} (vcm-sweep plan --factors lists all)")
        if unknown := sorted(fields.given - FACTOR_FIELDS.keys()):
            hint = did_you_mean(unknown[0], FACTOR_FIELDS, f"known: {', '.join(FACTOR_FIELDS)}")
            raise StudyError(f"[factor {number}] unknown key {unknown[0]!r}; {hint}")
        where = f"factor {number}: {name}"
        law = read_distribution(table, where, known.low, known.high, known.words)
        return cls(name, whole_numbers(law, where) if known.whole else law)

    def plain(self) -> dict[str, Any]:
        """The canonical table, for digests."""
        law = self.law
        return {"name": self.name, "low": law.low, "high": law.high, "distribution": law.name, **law.plain()}

"""The directions in which a study's factors leave their nominal values, and the points on the way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from vcm_sweep.sweep.designs.limits import nominal_value
from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.study import Study

Point: TypeAlias = Mapping[str, float]
"""A value of every factor, in its unit."""


@dataclass(frozen=True)
class Side:
    """One way out of nominal: one factor moving towards one end of its range.

    Attributes:
        factor: the factor that moves. end: "low" or "high". start: its nominal value, or if that is outside the range,
            the nearest end. limit: the end of the range towards which it moves.
    """

    factor: Factor
    end: str
    start: float
    limit: float

    @property
    def log(self) -> bool:
        """Whether places are evenly spaced in the logarithm of the value."""
        return self.factor.law.log

    def value(self, place: float) -> float:
        """The factor's value at a place from 0 (start) to 1 (limit), or of a list the nearest one."""
        if place >= 1.0:
            return self.limit
        value = self.start + place * (self.limit - self.start)
        if self.log:
            value = float(self.start * (self.limit / self.start) ** place)
        return nearest(self.factor, self.start, value)

    def place(self, value: float) -> float:
        """The place of a value, or of the nearest one of a list; the inverse of :meth:`value`."""
        value = nearest(self.factor, self.start, value)
        if self.log:
            return math.log(value / self.start) / math.log(self.limit / self.start)
        return (value - self.start) / (self.limit - self.start)


def nearest(factor: Factor, nominal: float, value: float) -> float:
    """The value itself; where the factor takes values of a list, the nearest of them and of its nominal one."""
    levels = factor.law.levels
    return min((nominal, *levels), key=lambda level: abs(level - value)) if levels else value


def sides_of(study: Study) -> tuple[Side, ...]:
    """All ways out of nominal: one for most factors, two where nominal lies inside the range."""
    sides: list[Side] = []
    for factor in study.factors:
        at = min(max(nominal_value(study, factor), factor.low), factor.high)
        if at > factor.low:
            sides.append(Side(factor, "low", at, factor.low))
        if at < factor.high:
            sides.append(Side(factor, "high", at, factor.high))
    return tuple(sides)


@dataclass(frozen=True)
class Ray:
    """A straight line from nominal, in terms of the places of some sides; all other factors stay nominal.

    Attributes:
        origin: the nominal point. sides: those that move. far: the place of each side at the end of the ray.
    """

    origin: Point
    sides: tuple[Side, ...]
    far: tuple[float, ...]

    def point(self, u: float) -> dict[str, float]:
        """The point at u on the ray, from 0 (nominal) to 1 (its end)."""
        return dict(self.origin) | {
            side.factor.name: side.value(u * far) for side, far in zip(self.sides, self.far, strict=True)
        }

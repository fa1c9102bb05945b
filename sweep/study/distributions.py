"""Distributions of factors: laws of scipy.stats under SALib's names, and lists of levels; each with its ends.

A point of the unit cube is a cumulative probability, so all designs and methods know a factor by ``ppf`` and ``cdf``
alone. No distribution reaches further than ``low`` and ``high``: one with infinite tails is cut there, and what is
sampled is the truncated law, not a clipped one.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDING = 1e-9
CONTINUOUS = ("uniform", "loguniform", "norm", "truncnorm", "lognorm", "triang", "beta")
LISTED = ("discrete", "categorical")
ALIASES = {
    "unif": "uniform", "logunif": "loguniform", "normal": "norm", "lognormal": "lognorm", "triangular": "triang",
}  # fmt: skip
"""SALib's names of the distributions that have another one here."""


@dataclass(frozen=True)
class Distribution(ABC):
    """How one factor is distributed.

    Args:
        name: in a study file. low, high: the ends of what is sampled, in the factor's unit.
    """

    name: str
    low: float
    high: float

    @abstractmethod
    def ppf(self, u: Array) -> Array:
        """Values at cumulative probabilities ``u``, any shape in [0, 1]."""

    @abstractmethod
    def cdf(self, x: Array) -> Array:
        """Cumulative probabilities of values ``x``, any shape, cut at the ends; of a level the middle of its own."""

    @abstractmethod
    def span(self, low: float, high: float) -> tuple[float, float]:
        """The cumulative probabilities between which the values from ``low`` to ``high`` lie, both included."""

    def last(self, end: float) -> float:
        """The largest value that lies up to a cumulative probability; of levels the last one whose own ends there."""
        return float(self.ppf(np.array(end)))

    @abstractmethod
    def words(self) -> str:
        """The law in words, without its ends; "" for a uniform one."""

    def ends(self) -> str:
        """The ends in words, from low to high; "" where ``words`` have them."""
        return f"{self.low:g} to {self.high:g}"

    def text(self, value: float) -> str:
        """A value as people read it."""
        return f"{value:g}"

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """Plain values that identify the distribution, without its name and ends."""

    @property
    def log(self) -> bool:
        """Whether values are compared by their logarithms, as on an axis."""
        return False

    @property
    def levels(self) -> tuple[float, ...]:
        """All values in their order, where there is a list of them."""
        return ()

    @property
    def ordered(self) -> bool:
        """Whether more and less of it mean something."""
        return True

    @property
    def corners(self) -> tuple[float, ...]:
        """The values at which something breaks first: the ends, or every choice where they have no order."""
        return (self.low, self.high) if self.ordered else self.levels


@dataclass(frozen=True)
class Continuous(Distribution):
    """A law of scipy.stats between ``low`` and ``high``.

    Args:
        parameters: (field, value) of the study file: mean and sd (norm, truncnorm), median and the sd of the logarithm,
            sigma (lognorm), peak (triang), a and b (beta). tail: the probability cut off at each end; 0 where the ends
            were given.

    >>> law = Continuous("norm", -2.0, 2.0, (("mean", 0.0), ("sd", 1.0)))
    >>> law.ppf(np.array([0.0, 0.75, 1.0])).round(4).tolist(), law.cdf(np.array([0.0])).round(4).tolist()
    ([-2.0, 0.6391, 2.0], [0.5])
    """

    parameters: tuple[tuple[str, float], ...] = ()
    tail: float = 0.0

    @property
    def log(self) -> bool:
        return self.name in ("loguniform", "lognorm")

    @cached_property
    def frozen(self) -> Any:
        """The truncated law, frozen; of the natural logarithm where it is lognorm."""
        # Imported here, since it takes long, and a study that is only read needs no law.
        from scipy import stats

        given, width = dict(self.parameters), self.high - self.low
        match self.name:
            case "loguniform":
                return stats.loguniform(self.low, self.high)
            case "norm" | "truncnorm":
                return _normal(self.low, self.high, given["mean"], given["sd"])
            case "lognorm":
                low, high, mean = np.log([self.low, self.high, given["median"]])
                return _normal(low, high, mean, given["sigma"])
            case "triang":
                return stats.triang((given["peak"] - self.low) / width, self.low, width)
            case "beta":
                return stats.beta(given["a"], given["b"], self.low, width)
        return stats.uniform(self.low, width)

    def ppf(self, u: Array) -> Array:
        x = self.frozen.ppf(u)
        # An end comes back from its logarithm with a rounding error.
        return np.asarray(np.clip(np.exp(x) if self.name == "lognorm" else x, self.low, self.high))

    def cdf(self, x: Array) -> Array:
        inside = np.clip(x, self.low, self.high)
        return np.asarray(np.clip(self.frozen.cdf(np.log(inside) if self.name == "lognorm" else inside), 0.0, 1.0))

    def pdf(self, x: Array) -> Array:
        """Density at values, any shape, per unit; 0 outside of the ends."""
        inside = np.clip(x, self.low, self.high)
        density = self.frozen.pdf(np.log(inside)) / inside if self.name == "lognorm" else self.frozen.pdf(inside)
        return np.where((x >= self.low) & (x <= self.high), density, 0.0)

    def span(self, low: float, high: float) -> tuple[float, float]:
        start, end = self.cdf(np.array([low, high])).tolist()
        return start, end

    def words(self) -> str:
        law = {"norm": "normal", "truncnorm": "normal", "lognorm": "log-normal", "triang": "triangular"}
        if self.name == "uniform":
            return ""
        given = [f"{field} {value:g}" for field, value in self.parameters]
        cut = f"cut at its {100 * self.tail:g} % and {100 - 100 * self.tail:g} % quantiles" if self.tail else ""
        cut = cut or ("cut at these ends" if self.name in ("norm", "truncnorm", "lognorm") else "")
        return ", ".join(filter(None, (law.get(self.name, self.name), *given, cut)))

    def ends(self) -> str:
        # Quantiles have many digits.
        return f"{self.low:.3g} to {self.high:.3g}" if self.tail else super().ends()

    def plain(self) -> dict[str, Any]:
        return dict(self.parameters) | ({"tail": self.tail} if self.tail else {})


@dataclass(frozen=True)
class Levels(Distribution):
    """A list of values, each with its probability: ``discrete``, or ``categorical`` where more and less mean nothing.

    Args:
        values: in the factor's unit, rising. probabilities: of the values; they sum to 1. names: of the values, where
            those are the places of words.

    >>> law = Levels.of("discrete", (5.0, 1.0, 2.0), (0.5, 0.25, 0.25))
    >>> law.ppf(np.array([0.0, 0.3, 0.9])).tolist(), law.cdf(np.array([1.0, 5.0])).tolist()
    ([1.0, 2.0, 5.0], [0.125, 0.75])
    """

    values: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, values: tuple[float, ...], probabilities: tuple[float, ...]) -> "Levels":
        """The list in its order, with its ends."""
        values, probabilities = zip(*sorted(zip(values, probabilities, strict=True)), strict=True)
        return cls(name, values[0], values[-1], values, probabilities)

    @property
    def levels(self) -> tuple[float, ...]:
        return self.values

    @property
    def ordered(self) -> bool:
        return self.name == "discrete"

    @cached_property
    def edges(self) -> Array:
        """(K + 1,) cumulative probabilities between which each of K values lies."""
        return np.concatenate([[0.0], np.cumsum(self.probabilities)[:-1], [1.0]])

    def ppf(self, u: Array) -> Array:
        return np.array(self.values)[np.searchsorted(self.edges[1:-1], u, side="right")]

    def last(self, end: float) -> float:
        # Of probabilities that are sums the last digits are chance.
        return self.values[max(0, int(np.searchsorted(self.edges, end + _ROUNDING, side="right")) - 2)]

    def cdf(self, x: Array) -> Array:
        values = np.array(self.values)
        nearest = np.searchsorted((values[1:] + values[:-1]) / 2.0, np.asarray(x))
        return np.asarray((self.edges[:-1] + self.edges[1:])[nearest] / 2.0)

    def span(self, low: float, high: float) -> tuple[float, float]:
        inside = [k for k, level in enumerate(self.values) if low <= level <= high]
        return float(self.edges[inside[0]]), float(self.edges[inside[-1] + 1])

    def words(self) -> str:
        equal = len(set(self.probabilities)) == 1
        of = [""] * len(self.values) if equal else [f" ({100 * share:.3g} %)" for share in self.probabilities]
        named = [f"{self.text(value)}{share}" for value, share in zip(self.values, of, strict=True)]
        return ("one of " if equal else "") + ", ".join(named)

    def ends(self) -> str:
        return ""

    def text(self, value: float) -> str:
        return self.names[self.values.index(value)] if self.names else super().text(value)

    def plain(self) -> dict[str, Any]:
        return {"values": list(self.names or self.values), "probabilities": list(self.probabilities)}


@dataclass(frozen=True)
class Whole(Levels):
    """Whole numbers, each with the probability of what a continuous law gives within half a step of it.

    So with a uniform one all are equally likely.

    Args:
        law: the continuous law, whose ends lie half a step beyond the whole numbers.

    >>> Whole.nearest(Continuous("uniform", 4.0, 8.0)).ppf(np.array([0.0, 0.19, 0.21, 0.5, 1.0])).tolist()
    [4.0, 4.0, 5.0, 6.0, 8.0]
    """

    law: Continuous | None = None

    @classmethod
    def nearest(cls, law: Continuous) -> "Whole":
        """The whole numbers from the low end of a law to its high end, which are whole numbers."""
        wide = replace(law, low=law.low - 0.5, high=law.high + 0.5)
        values = np.arange(law.low, law.high + 1.0)
        shares = np.diff(wide.cdf(np.append(values - 0.5, wide.high)))
        return cls(law.name, law.low, law.high, tuple(values.tolist()), tuple(shares.tolist()), law=wide)

    @property
    def log(self) -> bool:
        return self._continuous.log

    @property
    def ordered(self) -> bool:
        return True

    def words(self) -> str:
        return ", ".join(filter(None, ("whole numbers", self._continuous.words())))

    def ends(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def plain(self) -> dict[str, Any]:
        return self._continuous.plain()

    @property
    def _continuous(self) -> Continuous:
        assert self.law is not None, "made by nearest"
        return self.law


def _normal(low: float, high: float, mean: float, sd: float) -> Any:
    from scipy import stats

    return stats.truncnorm((low - mean) / sd, (high - mean) / sd, mean, sd)

"""How each factor varies in a question: held at a value, or over a distribution inside the range that was sampled."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.index import with_unit
from vcm_sweep.sweep.study.tables.fields import brief

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.factors import Factor

Array = NDArray[np.float64]

# Polynomials of degree 48 in log x, or of a normal's quantiles, are integrated to rounding.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
NODES, WEIGHTS = (_NODES + 1.0) / 2.0, _WEIGHTS / 2.0
"""Of quadrature over a distribution's own probability, 0 to 1: (256,) each."""

DISTRIBUTIONS = ("uniform", "loguniform")
# More of a distribution than this may not lie outside of what was sampled; what does is cut off.
_OUTSIDE = 0.01


@dataclass(frozen=True)
class Marginal:
    """How one factor varies.

    Args:
        factor: of the study, with the range and distribution that were sampled.
        low, high: between which it varies now; equal where it is held. given: whether the question names it.
        wanted: a frozen distribution of scipy.stats, cut to low and high; None where the factor is held.
    """

    factor: "Factor"
    low: float
    high: float
    given: bool
    wanted: Any | None

    @property
    def held(self) -> bool:
        """Whether it has one value only."""
        return self.wanted is None

    @property
    def values(self) -> Array:
        """(256,) values in the factor's unit; means over the distribution are sums of them with `WEIGHTS`."""
        return np.full(len(NODES), self.low) if self.held else self.quantiles(NODES)

    def quantiles(self, probability: Array) -> Array:
        """Values below which the factor is with these probabilities."""
        assert self.wanted is not None, "a factor that is held has no quantiles"
        start, end = self.wanted.cdf(self.low), self.wanted.cdf(self.high)
        return np.asarray(np.clip(self.wanted.ppf(start + probability * (end - start)), self.low, self.high))

    def ratio(self, x: Array) -> Array:
        """Density of what is wanted over that of what was sampled, at values of the factor."""
        assert self.wanted is not None, "a factor that is held has no density"
        if not self.given:
            return np.ones_like(x)
        sampled = _frozen(self.factor.low, self.factor.high, self.factor.distribution)
        mass = self.wanted.cdf(self.high) - self.wanted.cdf(self.low)
        inside = (x >= self.low) & (x <= self.high)
        # An end comes back from its logarithm with a rounding error.
        at = np.clip(x, self.factor.low, self.factor.high)
        return np.where(inside, self.wanted.pdf(at) / (mass * sampled.pdf(at)), 0.0)

    def within(self, share: Array) -> Array:
        """Values at shares of the way from low to high, of the logarithm where the factor was sampled so."""
        if self.factor.distribution == "loguniform":
            return np.asarray(self.low * (self.high / self.low) ** share)
        return np.asarray(self.low + share * (self.high - self.low))

    def place(self) -> str:
        """Where the factor is, as people read it: at 0.02, or 0 to 0.04."""
        if self.held:
            return "at " + with_unit(f"{self.low:g}", self.factor.unit)
        name = getattr(getattr(self.wanted, "dist", None), "name", "")
        shape = "" if name in ("uniform", "") else f", {name}"
        return with_unit(f"{self.low:g} to {self.high:g}", self.factor.unit) + shape


@dataclass(frozen=True)
class Marginals:
    """How all D factors vary, each independently of the others."""

    each: tuple[Marginal, ...]

    @property
    def held(self) -> tuple[int, ...]:
        """The columns of the factors that are held."""
        return tuple(j for j, marginal in enumerate(self.each) if marginal.held)

    @cached_property
    def values(self) -> Array:
        """(256, D) values for quadrature."""
        return np.column_stack([marginal.values for marginal in self.each])

    def weights(self, x: Array) -> Array:
        """Density of what is wanted over that of what was sampled; x: (..., D) values -> (...)."""
        found = np.ones(x.shape[:-1])
        for j, marginal in enumerate(self.each):
            found *= marginal.ratio(x[..., j])
        return found

    def words(self) -> str:
        """What differs from the study: r.d2d.sigma 0 to 0.04, read.noise.sigma at 0."""
        return ", ".join(f"{marginal.factor.name} {marginal.place()}" for marginal in self.each if marginal.given)


def read_marginals(
    factors: "Sequence[Factor]", given: Mapping[str, Any], groups: Mapping[str, Sequence[str]] | None = None
) -> Marginals:
    """How the factors vary where some are given, and the others are as they were sampled.

    Args:
        given: by factor a number at which it is held; (low, high), over which it is distributed as it was sampled;
            (low, high, "uniform" or "loguniform"); a frozen continuous distribution of scipy.stats; or a `Marginal`.
        groups: of the study, so that who names one is told its factors.

    Raises:
        AnalysisError: a factor that the study does not vary, values outside of what was sampled, a distribution that
            does not exist, or what is none of these.
    """
    known = {factor.name: factor for factor in factors}
    for name in given:
        if name in known:
            continue
        if groups and name in groups:
            raise AnalysisError(f"{name}: is a group of factors; name one of them: {', '.join(groups[name])}")
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise AnalysisError(f"{name}: is no factor of the study; {hint}it varied {', '.join(known)}")
    return Marginals(tuple(_marginal(factor, given.get(factor.name)) for factor in factors))


def _marginal(factor: "Factor", given: Any) -> Marginal:
    match given:
        case None:
            sampled = _frozen(factor.low, factor.high, factor.distribution)
            return Marginal(factor, factor.low, factor.high, False, sampled)
        case Marginal():
            return given
        case [low, high]:
            return _between(factor, _number(factor, given, low), _number(factor, given, high), factor.distribution)
        case [low, high, distribution]:
            return _between(factor, _number(factor, given, low), _number(factor, given, high), distribution)
    # A discrete distribution has no density.
    if hasattr(given, "ppf") and hasattr(given, "pdf"):
        return _cut(factor, given)
    value = _number(factor, given, given)
    _check_inside(factor, value)
    return Marginal(factor, value, value, True, None)


def _number(factor: "Factor", given: Any, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise AnalysisError(
            f"{factor.name}: {brief(given)} must be a number, (low, high), (low, high, distribution), or a frozen "
            "continuous distribution of scipy.stats"
        ) from None


def _between(factor: "Factor", low: float, high: float, distribution: str) -> Marginal:
    for end in (low, high):
        _check_inside(factor, end)
    if not low < high:
        raise AnalysisError(f"{factor.name}: low = {low:g} must be below high = {high:g}")
    if distribution not in DISTRIBUTIONS:
        raise AnalysisError(f"{factor.name}: distribution {distribution!r} is not one of {', '.join(DISTRIBUTIONS)}")
    if distribution == "loguniform" and low <= 0.0:
        raise AnalysisError(f"{factor.name}: low = {low:g} must be above 0 for a loguniform range")
    return Marginal(factor, low, high, True, _frozen(low, high, distribution))


def _cut(factor: "Factor", wanted: Any) -> Marginal:
    """A distribution of scipy.stats, less the little of it that lies outside of what was sampled."""
    inside = float(wanted.cdf(factor.high) - wanted.cdf(factor.low))
    if inside < 1.0 - _OUTSIDE:
        raise AnalysisError(
            f"{factor.name}: {100 * (1 - inside):.2g} % of the distribution lie outside of what was sampled, "
            f"{factor.low:g} to {factor.high:g}; at most {100 * _OUTSIDE:g} % may, which are cut off"
        )
    low, high = wanted.support()
    return Marginal(factor, max(low, factor.low), min(high, factor.high), True, wanted)


def _check_inside(factor: "Factor", value: float) -> None:
    if not factor.low <= value <= factor.high:
        raise AnalysisError(
            f"{factor.name}: {value:g} lies outside of what was sampled, {factor.low:g} to {factor.high:g}; ask within "
            "it, or run a study over a wider range"
        )


def _frozen(low: float, high: float, distribution: str) -> Any:
    return stats.loguniform(low, high) if distribution == "loguniform" else stats.uniform(low, high - low)

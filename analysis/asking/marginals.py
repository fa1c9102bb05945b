"""How each factor varies in a question: held at a value, or over a distribution inside the range that was sampled."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.index import with_unit
from vcm_sweep.sweep.nearest_names import nearest_names
from vcm_sweep.sweep.study.distributions import Continuous, Levels
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
        factor: of the study, with the distribution that was sampled.
        low, high: between which it varies now; equal where it is held. given: whether the question names it.
        wanted: the factor's own law, another one, or a frozen distribution of scipy.stats, cut to low and high; None
            where the factor is held.
    """

    factor: "Factor"
    low: float
    high: float
    given: bool
    wanted: Any | None

    @property
    def held(self) -> bool:
        """Whether it has one value only, where no point lies; at a level of a list, points do."""
        return self.wanted is None

    @cached_property
    def span(self) -> tuple[float, float]:
        """The cumulative probabilities, as they were sampled, of low and high."""
        return self.factor.law.span(self.low, self.high)

    @property
    def places(self) -> Array:
        """(256,) places in [0, 1], as cumulative probabilities of what was sampled.

        Means over the wanted distribution are sums of values there with `WEIGHTS`.
        """
        if self.held:
            return np.full(len(NODES), self.factor.law.cdf(np.array(self.low)))
        return self.within(NODES) if self._own else self.factor.law.cdf(self.quantiles(NODES))

    def quantiles(self, probability: Array) -> Array:
        """Values below which the factor is with these probabilities."""
        if self._own:
            return self.factor.law.ppf(self.within(probability))
        assert self.wanted is not None, "a factor that is held has no quantiles"
        start, end = self.wanted.cdf(self.low), self.wanted.cdf(self.high)
        return np.asarray(np.clip(self.wanted.ppf(start + probability * (end - start)), self.low, self.high))

    def ratio(self, u: Array) -> Array:
        """Density of what is wanted over that of what was sampled, at places in [0, 1]."""
        assert self.wanted is not None, "a factor that is held has no density"
        if not self.given:
            return np.ones_like(u)
        start, end = self.span
        inside = (u >= start) & (u <= end)
        if self._own:
            return np.where(inside, 1.0 / (end - start), 0.0)
        law, mass = self.factor.law, self.wanted.cdf(self.high) - self.wanted.cdf(self.low)
        assert isinstance(law, Continuous), "a list of levels is asked with its own probabilities"
        x = law.ppf(u)
        return np.where(inside, self.wanted.pdf(x) / (mass * law.pdf(x)), 0.0)

    def within(self, share: Array) -> Array:
        """Places at shares of the way from low to high, by the probability that was sampled."""
        start, end = self.span
        return np.asarray(start + share * (end - start))

    @property
    def _own(self) -> bool:
        return self.wanted is self.factor.law

    def place(self) -> str:
        """Where the factor is, as people read it: at 0.02, or 0 to 0.04."""
        if self.low == self.high:
            return "at " + with_unit(self.factor.law.text(self.low), self.factor.unit)
        name = getattr(getattr(self.wanted, "dist", self.wanted), "name", "")
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
    def places(self) -> Array:
        """(256, D) places for quadrature."""
        return np.column_stack([marginal.places for marginal in self.each])

    def weights(self, u: Array) -> Array:
        """Density of what is wanted over that of what was sampled; u: (..., D) places -> (...)."""
        found = np.ones(u.shape[:-1])
        for j, marginal in enumerate(self.each):
            found *= marginal.ratio(u[..., j])
        return found

    def words(self) -> str:
        """What differs from the study: r.d2d.sigma 0 to 0.04, read.noise.sigma at 0."""
        return ", ".join(f"{marginal.factor.name} {marginal.place()}" for marginal in self.each if marginal.given)


def read_marginals(
    factors: "Sequence[Factor]", given: Mapping[str, Any], groups: Mapping[str, Sequence[str]] | None = None
) -> Marginals:
    """How the factors vary where some are given, and the others are as they were sampled.

    Args:
        given: by factor a number at which it is held; (low, high), over which it is
            distributed as it was sampled; (low, high, "uniform" or "loguniform"); a frozen continuous distribution of
            scipy.stats; or a `Marginal`.
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
        near = nearest_names(name, known, 1, 0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise AnalysisError(f"{name}: is no factor of the study; {hint}it varied {', '.join(known)}")
    return Marginals(tuple(_marginal(factor, given.get(factor.name)) for factor in factors))


def _marginal(factor: "Factor", given: Any) -> Marginal:
    match given:
        case None:
            return Marginal(factor, factor.low, factor.high, False, factor.law)
        case Marginal():
            return given
        case [low, high]:
            return _between(factor, _number(factor, given, low), _number(factor, given, high), None)
        case [low, high, distribution]:
            return _between(factor, _number(factor, given, low), _number(factor, given, high), distribution)
    # A discrete distribution has no density.
    if hasattr(given, "ppf") and hasattr(given, "pdf"):
        return _cut(factor, given)
    if isinstance(factor.law, Levels):
        level = _level(factor, factor.law, given)
        return Marginal(factor, level, level, True, factor.law)
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


def _level(factor: "Factor", law: Levels, given: Any) -> float:
    texts = [law.text(level) for level in law.levels]
    if str(given) in texts:
        return law.levels[texts.index(str(given))]
    # A word's place is none of its names.
    value = math.nan if law.names else _number(factor, given, given)
    if value not in law.levels:
        known = law.ends() or ", ".join(texts)
        raise AnalysisError(f"{factor.name}: {given} was not sampled; hold it at one of {known}")
    return value


def _between(factor: "Factor", low: float, high: float, distribution: str | None) -> Marginal:
    for end in (low, high):
        _check_inside(factor, end)
    if not low < high:
        raise AnalysisError(f"{factor.name}: low = {low:g} must be below high = {high:g}")
    if not factor.law.ordered:
        raise AnalysisError(f"{factor.name}: {low:g} to {high:g} has no meaning for choices; hold it at one of them")
    if distribution is None:
        if factor.law.levels:
            inside = [level for level in factor.law.levels if low <= level <= high]
            if not inside:
                raise AnalysisError(
                    f"{factor.name}: no value between {low:g} and {high:g} was sampled; ask for a wider range"
                )
            low, high = inside[0], inside[-1]
        return Marginal(factor, low, high, True, factor.law)
    _check_continuous(factor)
    if distribution not in DISTRIBUTIONS:
        raise AnalysisError(f"{factor.name}: distribution {distribution!r} is not one of {', '.join(DISTRIBUTIONS)}")
    if distribution == "loguniform" and low <= 0.0:
        raise AnalysisError(f"{factor.name}: low = {low:g} must be above 0 for a loguniform range")
    return Marginal(factor, low, high, True, Continuous(distribution, low, high))


def _check_continuous(factor: "Factor") -> None:
    if factor.law.levels:
        raise AnalysisError(
            f"{factor.name}: takes values of a list, which keep their probabilities; give one of them, or (low, high)"
        )


def _cut(factor: "Factor", wanted: Any) -> Marginal:
    """A distribution of scipy.stats, less the little of it that lies outside of what was sampled."""
    _check_continuous(factor)
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

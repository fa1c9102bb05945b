"""Indices over other ranges and distributions than were sampled, by weighting the points that are there.

With p, the density of what is wanted over that of what was sampled, a mean over what is wanted is the mean of p times
what is at the points. So the bounded estimator holds as it stands, with weights in every mean and the surrogate's parts
taken under the new distribution. The price is points: n of uneven weights count as (sum p)^2 / sum p^2 (Kish).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.asking.marginals import Marginals
from vcm_sweep.analysis.asking.response import Response
from vcm_sweep.analysis.errors import AnalysisError, TooFewError
from vcm_sweep.analysis.methods.shares import check_varies
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.statistics.linear import Bounds, Estimated

Array = NDArray[np.float64]

# A surrogate of the whole box is measured by the points of a part of it; fewer than these do not tell how wrong it is.
POINTS, BLOCKS, REPLICATED = 128, 32, 32


@dataclass(frozen=True)
class Reweighted:
    """The records under another distribution of the factors: weights (B, m) of the points, and what they count as.

    Args:
        marginals: how the factors vary. points, blocks: effective numbers.
    """

    response: Response
    marginals: Marginals
    weights: Array
    points: float
    blocks: float

    def mean(self, values: Array) -> Estimated:
        """The mean over the distribution; values: (B, m, N) at the points."""
        return self.response.mean(values, self.weights)

    def over_folds(self, values: Array) -> Array:
        """The mean of (K, ...) numbers of the folds' surrogates, each as often as its points count."""
        share = np.bincount(self.response.fold.ravel(), self.weights.ravel(), len(values))
        return np.asarray(np.average(values, axis=0, weights=share))

    def expected(self) -> Estimated:
        """E f, (1,): that of the surrogates, and of what they leave at the points; exact whatever they are."""
        means, _ = self.response.averages(self.marginals)
        own = self.over_folds(self.response.expansion.values(means[None]))
        rest = self.mean(self.response.residual[..., None])
        return Estimated(rest.value + own + self.response.points.origin, rest.influence)

    def variance(self) -> Estimated:
        """Var f, (1,)."""
        means, moments = self.response.averages(self.marginals)
        own, mean = self.response.expansion.squares(moments), self.response.expansion.values(means[None])[:, 0]
        at = self.response.unseen(self.response.expansion.values(self.response.at_points) - mean[:, None])
        mean_r = self.mean(self.response.residual[..., None])
        return self._explained(own - mean**2, at) + self.response.missed(self.weights) - mean_r * mean_r

    def parts(self) -> tuple[Estimated, Estimated]:
        """What of the first and the total parts of G groups is explained: (G,) each, short of at most `missed`."""
        response, (means, moments) = self.response, self.response.averages(self.marginals)
        expansion, at = response.expansion, response.at_points
        apart = means[:, :, None] * means[:, None]
        everything, constant = expansion.values(at), expansion.values(means[None])[:, 0]
        square = expansion.squares(moments)
        own: list[Array] = []
        there: list[Array] = []
        for group in self.columns():
            inside = np.isin(np.arange(len(response.factors)), group)
            own.append(expansion.squares(np.where(inside[:, None, None], moments, apart)) - constant**2)
            there.append(expansion.values(np.where(inside[:, None], at, means)) - constant[:, None])
            own.append(square - expansion.squares(np.where(inside[:, None, None], apart, moments)))
            there.append(everything - expansion.values(np.where(inside[:, None], means, at)))
        found = [self._explained(a, response.unseen(b)) for a, b in zip(own, there, strict=True)]
        return joined(found[::2]), joined(found[1::2])

    def columns(self) -> list[list[int]]:
        """The columns of each group, or of each factor."""
        names = [factor.name for factor in self.response.factors]
        if not self.response.groups:
            return [[j] for j in range(len(names))]
        return [[names.index(member) for member in members] for members in self.response.groups.values()]

    def _explained(self, own: Array, at: Array) -> Estimated:
        """T(f') + 2 E[(m - f') P f'], (1,); own: (K,), at: (B, m)."""
        cross = self.mean(2.0 * (self.response.residual * at)[..., None])
        return Estimated(cross.value + self.over_folds(own), cross.influence)


def joined(pieces: list[Estimated]) -> Estimated:
    """Several estimates from the same blocks as one."""
    return Estimated(
        np.concatenate([piece.value for piece in pieces]), np.concatenate([p.influence for p in pieces], axis=1)
    )


def reweighted(response: Response, marginals: Marginals) -> Reweighted:
    """The records under another distribution, where enough of them count.

    Raises:
        AnalysisError: a factor is held.
        TooFewError: the points count as too few, or too few were trained twice.
    """
    if marginals.held:
        name = response.factors[marginals.held[0]].name
        raise AnalysisError(f"{name}: is held at one value, where no point lies; give it a range for indices")
    weights = marginals.weights(response.points.u)
    if lacking := shortage(response, weights):
        raise TooFewError(f"{marginals.words()}: {'; '.join(lacking)}")
    return Reweighted(response, marginals, weights, _kish(weights.ravel()), _kish(weights.sum(axis=1)))


def shortage(response: Response, weights: Array) -> tuple[str, str] | None:
    """What the records lack where the points have such weights, (B, m), and what to run; None where they suffice."""
    points, blocks = _kish(weights.ravel()), _kish(weights.sum(axis=1))
    counted = ((points, POINTS, weights.size, "points"), (blocks, BLOCKS, len(weights), "base blocks"))
    has, least, of, what = min(counted, key=lambda one: one[0] / one[1])
    if has < least:
        # A power of 2, as designs want it, with a tenth to spare.
        more = 2 ** int(np.ceil(np.log2(response.n * least / max(has, 1.0) / 0.9)))
        return (
            f"the {of} {what} count as {has:.0f} there, and {least} or more are needed",
            f"run a new study of these ranges (256 points), or vcm-sweep extend --to {more}, or ask for wider ranges",
        )
    known = np.isfinite(response.s2)
    replicated = _kish((weights * known).ravel())
    if replicated < REPLICATED:
        return (
            f"the {int(known.sum())} points that were trained twice count as {replicated:.0f} there, and {REPLICATED} "
            "or more are needed",
            "vcm-sweep extend --replicates 2 runs every row once more (what is finished is kept)",
        )
    return None


def _kish(weights: Array) -> float:
    square = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / square if square > 0.0 else 0.0


@dataclass(frozen=True)
class RangeIndices:
    """First and total indices over some ranges, with intervals that hold what the surrogate misses.

    Args:
        metric: what varies. marginals: over what. first, total: of every factor or group, what the
            surrogate explains; all that it does not may come on top.
        unexplained: V(r) / V(f), the share that the surrogate leaves. points: as how many the records count.
    """

    metric: str
    marginals: Marginals
    first: tuple[Index, ...]
    total: tuple[Index, ...]
    unexplained: Index
    points: float

    def ranking(self) -> tuple[Index, ...]:
        """The total indices, largest first."""
        return tuple(sorted(self.total, key=lambda index: -index.value))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "first": [index.to_dict() for index in self.first],
            "total": [index.to_dict() for index in self.total],
            "unexplained": self.unexplained.to_dict(),
            "effective_points": self.points,
        }


def range_indices(response: Response, given: Mapping[str, Any] | None = None) -> RangeIndices:
    """The indices of a response where the factors vary as given; arguments as for `read_marginals`.

    Raises:
        AnalysisError: as `read_marginals`, or a factor that is held.
        TooFewError: too few points count there, or the output varies no more there than training noise.
    """
    there = reweighted(response, response.marginals(given))
    variance, missed = there.variance(), response.missed(there.weights)
    check_varies(variance, response.noise(there.weights), response.confidence, response.metric)
    names = tuple(response.groups or (factor.name for factor in response.factors))
    first, total = (
        _named(Bounds(part / variance, (part + missed) / variance), response.confidence, names)
        for part in there.parts()
    )
    share = missed / variance
    (unexplained,) = _named(Bounds(share, share), response.confidence, ("unexplained",))
    return RangeIndices(response.metric, there.marginals, first, total, unexplained, there.points)


def _named(bounds: Bounds, confidence: float, names: tuple[str, ...]) -> tuple[Index, ...]:
    ends = zip(names, bounds.low.value, *bounds.interval(confidence), strict=True)
    return tuple(Index(name, float(value), float(low), float(high)) for name, value, low, high in ends)

"""The mean output, and how much it varies, where factors are held or vary as one likes; and what a change of that buys.

Where every factor keeps a range, both are those of the weighted points (see reweighting.py), with what the surrogates
miss measured there. At a value of a factor lies no point. There f = f' + r with an r that is not known, but of which
E[r^2] = V(r) is measured over the box: the error of a mean over what still varies is at most the mean of the errors,
and a standard deviation differs by at most that of r there (Minkowski): on average over settings, V(r) or less.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.asking.marginals import Marginals
from vcm_sweep.analysis.asking.response import Response
from vcm_sweep.analysis.asking.reweighting import reweighted, shortage
from vcm_sweep.analysis.records.metrics import as_metric
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.statistics.linear import Estimated

Array = NDArray[np.float64]

# V(r) is itself measured: its upper end, one-sided at 95 %, stands for it in a prediction.
_UPPER = float(stats.norm.ppf(0.95))


@dataclass(frozen=True)
class Uncertain:
    """A number with its errors.

    Args:
        estimate: (1,) with its influence by block. scatter: standard deviation of a further, independent error.
        most: of an error of unknown sign that is no larger, in mean square over settings.
    """

    estimate: Estimated
    scatter: float = 0.0
    most: float = 0.0

    def __sub__(self, other: "Uncertain") -> "Uncertain":
        scatter = float(np.hypot(self.scatter, other.scatter))
        return Uncertain(self.estimate - other.estimate, scatter, self.most + other.most)

    def index(self, name: str, confidence: float) -> Index:
        """The number with its interval."""
        value, quantile = float(self.estimate.value[0]), float(stats.norm.ppf(0.5 + confidence / 2.0))
        half = self.most + quantile * float(np.hypot(self.estimate.error[0], self.scatter))
        return Index(name, value, value - half, value + half)


@dataclass(frozen=True)
class Prediction:
    """What the records say of a setting, without a training there.

    Args:
        metric: what is predicted. marginals: how the factors vary.
        mean: of the output over seeds and what varies. spread: its standard deviation over what varies, without luck;
            None where every factor is held.
        gain: ``mean`` less that of the base. less: spread of the base less ``spread``.
        points: as how many the records count there; 0 where those do not show what the surrogate misses.
        lacking: why they do not, in words; "" where they do, so that the interval of the mean needs no more than
            chance. Else it holds in 95 of 100 settings drawn from the box, not in each.
    """

    metric: str
    marginals: Marginals
    mean: Index
    spread: Index | None
    gain: Index
    less: Index | None
    points: float
    lacking: str

    @property
    def measured(self) -> bool:
        """Whether enough points lie there to show what the surrogate misses."""
        return not self.lacking

    def sentences(self, base: str) -> tuple[str, ...]:
        """What is predicted, in words; ``base``: what gains are counted from, "" where that is the same."""
        metric, there = as_metric(self.metric), self.marginals.words()
        count = f", where the records count as {self.points:.0f} points" if there and self.measured else ""
        where = f"With {there}{count}," if there else "Over the ranges of the study"
        # A level is read with as many decimals as a difference.
        level = metric.change(self.mean).replace(" points", " %")
        beside = ""
        if base:
            side, gain = ("above", self.gain) if self.gain.value >= 0.0 else ("below", flipped(self.gain))
            beside = f", {metric.change(gain)} {side} that over {base}"
        said = [f"{where} the mean of {metric.label} is {level}{beside}."]
        if self.spread:
            said.append(
                f"Over what varies it has a standard deviation of {metric.change(self.spread)}, without the luck of a "
                "training."
            )
        if not self.measured:
            said.append(
                f"{self.lacking[0].upper()}{self.lacking[1:]}: the interval is that of the surrogate, with what it "
                "leaves unexplained over the box, and holds in 95 of 100 settings drawn from the box, not in each."
            )
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = {name: getattr(self, name) for name in ("mean", "spread", "gain", "less")}
        return {
            "setting": self.marginals.words(),
            **{name: index.to_dict() if index else None for name, index in found.items()},
            "measured": self.measured,
            "effective_points": self.points,
        }


def predict(
    response: Response, given: Mapping[str, Any] | None = None, *, base: Mapping[str, Any] | None = None
) -> Prediction:
    """The mean output where factors are held or vary as given, and what that is worth.

    Args:
        given: as for `read_marginals`; a factor that it does not name is as in ``base``.
        base: what gains are counted from; by default the study as it was sampled.

    Raises:
        AnalysisError: as `read_marginals`.
    """
    start = response.marginals(base)
    marginals = response.marginals({**(base or {}), **(given or {})})
    there, here = _state(response, marginals), _state(response, start)

    def known(number: Uncertain) -> Index:
        return number.index(response.metric, response.confidence)

    # Where nothing varies any more nothing is left of the spread.
    varies = len(marginals.held) < len(response.factors)
    return Prediction(
        response.metric,
        marginals,
        known(there.mean),
        known(there.spread) if varies else None,
        known(there.mean - here.mean),
        known(here.spread - there.spread) if varies else None,
        there.points,
        there.lacking,
    )


@dataclass(frozen=True)
class _State:
    """Mean and standard deviation of f; points: as many count there; lacking: why V(r) is unknown, "" if it is."""

    mean: Uncertain
    spread: Uncertain
    points: float = 0.0
    lacking: str = ""


def _state(response: Response, marginals: Marginals) -> _State:
    if marginals.held:
        return _surrogate(response, marginals, "no points lie where a factor is held")
    if lacking := shortage(response, marginals.weights(response.points.u)):
        return _surrogate(response, marginals, lacking[0])
    there = reweighted(response, marginals)
    return _State(Uncertain(there.expected()), Uncertain(_root(there.variance())), there.points)


def _surrogate(response: Response, marginals: Marginals, lacking: str) -> _State:
    """What the surrogates say, each of all folds but one, with V(r) of the box and how far apart they are."""
    means, moments = response.averages(marginals)
    mean = response.expansion.values(means[None])[:, 0]
    spread = np.sqrt(np.maximum(response.expansion.squares(moments) - mean**2, 0.0))
    missed = root_missed(response)
    value = Estimated(np.array([mean.mean() + response.points.origin]), np.zeros((len(response.points.u), 1)))
    sd = Estimated(np.array([spread.mean()]), np.zeros((len(response.points.u), 1)))
    return _State(
        Uncertain(value, float(np.hypot(missed, apart(mean)))),
        Uncertain(sd, float(apart(spread)), missed),
        0.0,
        lacking,
    )


def flipped(index: Index) -> Index:
    """The index of the opposite sign."""
    return replace(index, value=-index.value, low=-index.high, high=-index.low)


def root_missed(response: Response) -> float:
    """The root of V(r) over the box, at the upper end of its interval."""
    missed = response.missed(np.ones_like(response.fold, dtype=np.float64))
    return float(np.sqrt(missed.value[0] + _UPPER * missed.error[0]))


def apart(values: Array) -> Array:
    """The jackknife's standard error of the mean of K folds' numbers; values: (K, ...)."""
    folds = len(values)
    return np.asarray(np.sqrt((folds - 1) / folds * np.sum((values - values.mean(axis=0)) ** 2, axis=0)))


def _root(variance: Estimated) -> Estimated:
    """The standard deviation. Near 0 its error is that of the root of the variance's upper end."""
    value = np.sqrt(np.maximum(variance.value, 0.0))
    return Estimated(value, variance.influence / (2.0 * np.maximum(value, np.sqrt(variance.error / 2.0))))

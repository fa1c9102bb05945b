"""What one more setting of a factor would buy: how much the mean output rises, and how much less it varies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vcm_sweep.analysis.asking.prediction import Prediction, predict
from vcm_sweep.analysis.asking.response import Response

if TYPE_CHECKING:
    from vcm_sweep.analysis.asking.marginals import Marginal


@dataclass(frozen=True)
class Gain:
    """One factor changed, all others as they were; ``change``: to what, in words."""

    factor: str
    change: str
    prediction: Prediction

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"factor": self.factor, "change": self.change, **self.prediction.to_dict()}


KINDS = ("lower half", "low end")
"""Of changes that can be asked of every factor; lists of a few levels may have no half."""
# Of a factor with levels, those that are called its lower half hold a half of it, give or take so much.
_ABOUT = 0.05


def gains(
    response: Response,
    fixes: Mapping[str, Any] | None = None,
    *,
    base: Mapping[str, Any] | None = None,
    kinds: Sequence[str] = KINDS,
) -> tuple[Gain, ...]:
    """What each change of a factor by itself buys; those of one kind together, the largest gain first.

    Args:
        fixes: by factor, as for `read_marginals`; by default the ``kinds`` of every factor.
        base: from where they are counted; by default the study as it was sampled.

    Raises:
        AnalysisError: as `read_marginals`.
    """
    changes: list[tuple[str, str, Any]]
    if fixes is None:
        free = [one for one in response.marginals(base).each if one.low < one.high and one.factor.law.ordered]
        tried = [(one.factor.name, kind, _changed(one, kind)) for kind in kinds for one in free]
        changes = [(name, kind, change) for name, kind, change in tried if change is not None]
    else:
        changes = [(name, "", wanted) for name, wanted in fixes.items()]
    found = []
    for name, words, change in changes:
        prediction = predict(response, {name: change}, base=base)
        place = [factor.name for factor in response.factors].index(name)
        found.append(Gain(name, words or prediction.marginals.each[place].place(), prediction))
    return tuple(
        sorted(found, key=lambda gain: (gain.change == KINDS[1], -response.better * gain.prediction.gain.value))
    )


def _changed(marginal: "Marginal", kind: str) -> Any:
    """The low end, or the factor's own distribution from it to the median, the middle of a uniform range.

    None where the levels up to the median are less than about a half, or the lowest one alone, which is the low end.
    """
    if kind == "low end":
        return marginal.low
    if not marginal.factor.law.levels:
        return replace(marginal, high=float(marginal.quantiles(np.array(0.5))), given=True)
    half = replace(marginal, high=marginal.factor.law.last(float(marginal.within(np.array(0.5)))), given=True)
    if half.low >= half.high:
        return None
    (start, end), (first, last) = half.span, marginal.span
    return half if end - start >= (0.5 - _ABOUT) * (last - first) else None

"""What one more setting of a factor would buy: how much the mean output rises, and how much less it varies."""

from collections.abc import Mapping
from dataclasses import dataclass
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


def gains(
    response: Response, fixes: Mapping[str, Any] | None = None, *, base: Mapping[str, Any] | None = None
) -> tuple[Gain, ...]:
    """What each change of a factor by itself buys; those of one kind together, the largest gain first.

    Args:
        fixes: by factor, as for `read_marginals`; by default every factor over its lower half, and at its low end.
        base: from where they are counted; by default the study as it was sampled.

    Raises:
        AnalysisError: as `read_marginals`.
    """
    changes: list[tuple[str, str, Any]]
    if fixes is None:
        free = [marginal for marginal in response.marginals(base).each if not marginal.held]
        changes = [(one.factor.name, "lower half", _lower_half(one)) for one in free]
        changes += [(one.factor.name, "low end", one.low) for one in free]
    else:
        changes = [(name, "", wanted) for name, wanted in fixes.items()]
    found = []
    for name, words, change in changes:
        prediction = predict(response, {name: change}, base=base)
        place = [factor.name for factor in response.factors].index(name)
        found.append(Gain(name, words or prediction.marginals.each[place].place(), prediction))
    return tuple(
        sorted(found, key=lambda gain: (gain.change == "low end", -response.better * gain.prediction.gain.value))
    )


def _lower_half(marginal: "Marginal") -> tuple[float, float]:
    """From the low end to the middle, of the logarithm where the factor was sampled so."""
    return marginal.low, float(marginal.within(np.array(0.5)))

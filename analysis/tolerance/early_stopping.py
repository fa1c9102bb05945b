"""Cutting trainings short: a point that will not keep the target is left after its first epochs.

The forecast for a training is taken from the finished trainings that had the most similar accuracy after as many
epochs. A point is left if 97.5 % of those ended below the target.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 30
_LEAST = 40
_BEST = 0.975


@dataclass(frozen=True)
class Forecast:
    """Forecasts the final accuracy of a training from its accuracy after some epochs.

    Attributes:
        after: (n,) accuracies after those epochs, of trainings that were finished. final: (n,) their final accuracies.
    """

    after: NDArray[np.float64]
    final: NDArray[np.float64]

    @property
    def usable(self) -> bool:
        """Whether there are enough finished trainings for a forecast."""
        return len(self.final) >= _LEAST

    def expects(self, accuracy: float) -> tuple[float, float]:
        """(mean, 97.5 % quantile) of the final accuracy of a training that stands at ``accuracy``.

        >>> past = np.linspace(0.1, 0.9, 81)
        >>> mean, best = Forecast(past, past + 0.05).expects(0.5)
        >>> round(mean, 2), round(best, 2)
        (0.55, 0.68)
        """
        nearest = np.argsort(np.abs(self.after - accuracy), kind="stable")[:_NEIGHBOURS]
        ends = self.final[nearest]
        return float(ends.mean()), float(np.quantile(ends, _BEST))


def first_look(epochs: int) -> int:
    """The epoch after which trainings are judged, a third of the way; 0 where there are too few epochs to save any."""
    return max(1, epochs // 3) if epochs >= 3 else 0

"""Cutting trainings short: a point that will not keep the target is left after its first epochs.

What an accuracy after some epochs becomes is read off all trainings that went to their end: those nearest to it after
as many epochs. A point is left when even the best of these, 97.5 % of them, end below the target.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 30
_LEAST = 40
_BEST = 0.975


@dataclass(frozen=True)
class Forecast:
    """What trainings that stand at an accuracy after some epochs come to.

    Attributes:
        after: (n,) accuracies after those epochs, of trainings that went on. final: (n,) where they ended.
    """

    after: NDArray[np.float64]
    final: NDArray[np.float64]

    @property
    def usable(self) -> bool:
        """Whether there are enough to tell anything."""
        return len(self.final) >= _LEAST

    def expects(self, accuracy: float) -> tuple[float, float]:
        """(mean, what 97.5 % stay below) of the end of a training that stands at an accuracy.

        >>> past = np.linspace(0.1, 0.9, 81)
        >>> mean, best = Forecast(past, past + 0.05).expects(0.5)
        >>> round(mean, 2), round(best, 2)
        (0.55, 0.68)
        """
        nearest = np.argsort(np.abs(self.after - accuracy), kind="stable")[:_NEIGHBOURS]
        ends = self.final[nearest]
        return float(ends.mean()), float(np.quantile(ends, _BEST))


def first_look(epochs: int) -> int:
    """Epochs after which trainings are looked at: a third of them; 0 where there are too few to save any."""
    return max(1, epochs // 3) if epochs >= 3 else 0

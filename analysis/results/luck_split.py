"""``LuckSplit``: how much of the luck of a training is the array's, and how much the training's."""

from dataclasses import dataclass
from typing import Any

from vcm_sweep.analysis.results.index import Index


@dataclass(frozen=True)
class LuckSplit:
    """The variance of a training at fixed factors (its luck), as shares of its two sources, with intervals.

    Args:
        array: the share that comes from which cells were drawn.
        training: the share that comes from first weights, order of samples, pulses and read noise.
        noise_variance: the variance of one training. points: number of points that have nested replicates.
    """

    array: Index
    training: Index
    noise_variance: float
    points: int

    def sentences(self) -> tuple[str, ...]:
        """The split in words."""
        return (
            f"Of the luck of a training, {self.array.percent()} lies in which array it got and "
            f"{self.training.percent()} in the training itself ({self.points} points).",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "array": self.array.to_dict(),
            "training": self.training.to_dict(),
            "noise_variance": self.noise_variance,
            "points": self.points,
        }

"""How far one training is: what a checkpoint holds beside the tensors."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Progress:
    """Where a trial stands, plain JSON types.

    Attributes:
        epoch, batch: done so far. stopped: "" while it trains, else the status of its record.
        history: test accuracy after each epoch. best, since_best: of the validation accuracy.
        loss: mean of the last whole epoch. epoch_loss: sum over the samples of the epoch under way.
        wall_s, cpu_s: spent before this process took the trial up.
    """

    epoch: int = 0
    batch: int = 0
    stopped: str = ""
    reason: str = ""
    history: list[float] = field(default_factory=list)
    best: float = -1.0
    since_best: int = 0
    loss: float = math.nan
    epoch_loss: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def validate(self, accuracy: float) -> None:
        """Take in the validation accuracy of an epoch."""
        better = accuracy > self.best
        self.best, self.since_best = (accuracy, 0) if better else (self.best, self.since_best + 1)

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Progress":
        """From JSON."""
        return cls(**plain)

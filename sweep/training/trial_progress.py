"""How far one training is: what a checkpoint holds beside the tensors."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from vcm_sweep.sweep.trial import STATUSES


@dataclass
class TrialProgress:
    """Where a trial stands, plain JSON types.

    Attributes:
        epoch, batch: done so far. stopped: "" while it trains, else the status of its record.
        history: test accuracy after each epoch. best, since_best: of the validation accuracy.
        loss: mean of the last whole epoch. epoch_loss: sum over the samples of the epoch under way.
        wall_s, cpu_s: spent before this process took the trial up. charged_s: wall_s against the present deadline.
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
    charged_s: float = 0.0

    def validate(self, accuracy: float) -> None:
        """Take in the validation accuracy of an epoch."""
        better = accuracy > self.best
        self.best, self.since_best = (accuracy, 0) if better else (self.best, self.since_best + 1)

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Any) -> "TrialProgress":
        """From JSON; ValueError names a field that no training writes."""
        defaults = asdict(cls())
        if not isinstance(plain, dict) or plain.keys() != defaults.keys():
            raise ValueError(f"its fields are not {', '.join(defaults)}")
        for name, default in defaults.items():
            value = plain[name]
            allowed = (int, float) if isinstance(default, float) else (type(default),)
            if type(value) not in allowed:
                raise ValueError(f"{name} = {value!r}")
        made = cls(**plain)
        whole = made.epoch >= 0 and made.batch >= 0 and made.since_best >= 0
        times = all(0 <= seconds < math.inf for seconds in (made.wall_s, made.cpu_s, made.charged_s))
        # An epoch that left the scores not finite stops a trial without an entry.
        tested = made.epoch - len(made.history) in ((0, 1) if made.stopped else (0,))
        shares = all(type(share) in (int, float) and 0 <= share <= 1 for share in made.history)
        if not (whole and times and tested and shares and (not made.stopped or made.stopped in STATUSES)):
            raise ValueError(f"its progress is {plain}")
        return made

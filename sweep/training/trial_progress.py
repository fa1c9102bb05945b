"""``TrialProgress``: how far one training is, which a checkpoint stores beside the tensors."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from vcm_sweep.sweep.trial import STATUSES


@dataclass
class TrialProgress:
    """How far a trial is, in plain JSON types.

    Attributes:
        epoch, batch: finished epochs, and finished batches of the current one.
        stopped: "" while the trial trains, else the status of its record; reason: that of its record.
        history: test accuracy after each epoch.
        best, since_best: best validation accuracy, and epochs since then.
        loss: mean training loss of the last finished epoch.
        epoch_loss: sum of the loss over the samples of the current epoch so far.
        wall_s, cpu_s: time spent on the trial before this process continued it.
        charged_s: the part of wall_s that counts against the present deadline.
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
        """The fields as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Any) -> "TrialProgress":
        """The progress from JSON; ValueError if a field is missing, unknown or has an impossible value."""
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
        # Each finished epoch has an entry in the history. Only a trial that stopped because its scores were not finite
        # may lack the last one.
        tested = made.epoch - len(made.history) in ((0, 1) if made.stopped else (0,))
        shares = all(type(share) in (int, float) and 0 <= share <= 1 for share in made.history)
        if not (whole and times and tested and shares and (not made.stopped or made.stopped in STATUSES)):
            raise ValueError(f"its progress is {plain}")
        return made

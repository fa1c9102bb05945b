"""How far a training is: ``TrialProgress``, which a checkpoint stores beside the tensors; ``HowFar``, told in words."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from vcm_sweep.device.doing import Doing
from vcm_sweep.sweep.trial import STATUSES

# A pack that ends sooner says nothing, and one that goes on says it this often.
_LONG_S, _SAY_EVERY_S = 30.0, 5.0


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


class HowFar(Doing):
    """Says in words how far a pack is, once it takes long: see :meth:`at`.

    Args:
        epochs, batches: of a training, and of each of its epochs.
        clock: of seconds.

    Example:
        >>> seconds = iter((0.0, 60.0))
        >>> with HowFar(30, 100, clock=lambda: next(seconds)) as told:
        ...     told.at(0, 1)
        ...     told.at(1, 1)
        ...     told.words
        'a pack in epoch 2 of 30, some 29 min before its end'
    """

    def __init__(self, epochs: int, batches: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("")
        self._epochs, self._batches, self._clock = epochs, batches, clock
        self._began, self._first = math.nan, 0
        self._next = 0.0

    def at(self, epoch: int, batch: int) -> None:
        """Finished epochs, and finished batches of the current one; the first call is where the time begins."""
        now, done = self._clock(), epoch * self._batches + batch
        if math.isnan(self._began):
            # Not before: the first step may have compiled the kernels.
            self._began, self._first, self._next = now, done, now + _LONG_S
        if now < self._next or done == self._first:
            return
        self._next = now + _SAY_EVERY_S
        left = (now - self._began) * (self._epochs * self._batches - done) / (done - self._first)
        words = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
        self.words = f"a pack in epoch {epoch + 1} of {self._epochs}, some {words} before its end"

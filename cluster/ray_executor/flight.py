"""``Flight``: a pack that was given to Ray."""

from dataclasses import dataclass
from typing import Any

from vcm_sweep.sweep.packs.recovery import Cause, Failure, PackAttempt


@dataclass(eq=False)
class Flight:
    """A pack that was given to Ray: its stream of messages, its hard deadline, and where it runs as far as is known.

    ``started``, ``killed`` and ``by_pid`` are times of the monotonic clock, 0 before the event: when the pack started
    (or, if later, the pack before it in its process ended), and when it was killed through Ray, and by its process id.
    ``lost``: its process is gone.
    """

    attempt: PackAttempt
    stream: Any
    hard_s: float
    node: str = ""
    pid: int = 0
    started: float = 0.0
    killed: float = 0.0
    by_pid: float = 0.0
    lost: bool = False
    answer: Any = None
    """The message that is being fetched, kept here so that an interrupt does not lose it."""

    def overdue(self) -> Failure:
        """The failure of a pack that was killed at its hard deadline."""
        deadline = sum(trial.deadline_s for trial in self.attempt.trials)
        return Failure(
            Cause.DEADLINE, f"not done within deadline_s, {deadline:g} s in all, and did not stop: killed", self.node
        )

"""Where packs of trials are run: the contract, and the executor that runs them in this process."""

import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.packs.recovery import classified, judge, stamped, whole
from vcm_sweep.sweep.trial import Trial, TrialRecord

type Task = Callable[[Sequence[Trial]], list[TrialRecord]]
"""Runs a pack; one record per trial. ``vcm_sweep.sweep.train`` is one."""


class Executor(ABC):
    """Runs packs of trials.

    ``run`` takes packs lazily and yields the records of each as it ends, in any order. It yields exactly one
    record per trial, whatever happens to it: a trial that fails gives a record with its status and reason
    (:func:`vcm_sweep.sweep.packs.recovery.judge` says when). It is used by one thread. Closing the iterator stops what
    is running and leaves nothing behind.

    A KeyboardInterrupt passes through ``run``; then what is under way is left to ``finish``.
    """

    @abstractmethod
    def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
        """Yield the records of each pack as it ends."""

    def finish(self, grace_s: float) -> Iterator[list[TrialRecord]]:
        """Yield what ends within ``grace_s`` seconds; let the rest save a checkpoint, and stop it."""
        yield from ()

    def activity(self) -> dict[str, int]:
        """Packs that are running, by the name of their node."""
        return {}


class InProcessExecutor(Executor):
    """Runs one pack after the other in this process: for tests, debugging and small studies.

    Args:
        task: what runs a pack.
        retries: further attempts after a trial's own error.
    """

    def __init__(self, task: Task, retries: int = 1) -> None:
        self.task, self.retries = task, retries
        self._running = 0

    def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
        """Yield the records of each pack, in order."""
        for pack in packs:
            self._running = 1
            try:
                records = run_isolated(self.task, pack, self.retries)
            finally:
                self._running = 0
            yield records

    def activity(self) -> dict[str, int]:
        """The pack that is running here."""
        return {platform.node(): self._running} if self._running else {}


def run_isolated(task: Task, pack: Sequence[Trial], retries: int = 1) -> list[TrialRecord]:
    """The records of a pack, in its order; one that fails or does not fit into memory is cut until it does.

    A StudyError is the user's to mend and passes through.
    """
    waiting, records = [whole(pack)], []
    while waiting:
        attempt = waiting.pop(0)
        try:
            records += stamped(task(attempt.trials), platform.node(), attempt.number)
            continue
        except StudyError:
            raise
        except Exception as error:
            failure = classified(error)
        # Outside of the handler: the error's frames, and all the tensors in them, are gone before the next attempt.
        verdict = judge(attempt, failure, retries)
        waiting = verdict.again + waiting
        records += stamped(verdict.records, platform.node(), attempt.number)
    return records

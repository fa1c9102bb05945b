"""``Executor``, the interface of what runs packs of trials, and the executor that runs them in this process."""

import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from vcm_sweep.device.doing import words_now
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.packs.recovery import classified, judge, stamped, whole
from vcm_sweep.sweep.trial import Trial, TrialRecord

Task: TypeAlias = Callable[[Sequence[Trial]], list[TrialRecord]]
"""A function that runs a pack and returns one record per trial, such as ``vcm_sweep.sweep.train``."""


class Executor(ABC):
    """Runs packs of trials.

    ``run`` takes packs lazily and yields the records of each as it ends, in any order. It yields exactly one
    record per trial, whatever happens: a trial that fails gives a record with its status and reason
    (:func:`vcm_sweep.sweep.packs.recovery.judge` decides when). It is used by one thread only. Closing the iterator
    stops the packs that are running and leaves nothing behind.

    A KeyboardInterrupt is raised out of ``run``; the caller then gets the records of running packs from ``finish``.
    """

    @abstractmethod
    def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
        """Yield the records of each pack as it ends."""

    def finish(self, grace_s: float) -> Iterator[list[TrialRecord]]:
        """Yield the records of packs that end within ``grace_s`` seconds; stop the others once they have saved."""
        yield from ()

    def activity(self) -> dict[str, int]:
        """Packs that are running, by the name of their node."""
        return {}

    def doing(self) -> str:
        """What takes long just now, in words; "" for nothing."""
        return words_now()


class InProcessExecutor(Executor):
    """Runs one pack after the other in this process: for tests, debugging and small studies.

    Args:
        task: the function that runs a pack.
        retries: number of further attempts after an error of the trial itself.
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
    """The records of a pack; a pack that fails or does not fit into memory is halved until its parts run.

    A StudyError is raised at once, since only the user can correct its cause.
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
        verdict = judge(attempt, failure, retries)
        waiting = verdict.again + waiting
        records += stamped(verdict.records, platform.node(), attempt.number)
    return records

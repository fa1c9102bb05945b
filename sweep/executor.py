"""Where packs of trials are run: the contract, and the executor that runs them in this process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

from .errors import StudyError
from .trial import Trial, TrialRecord

type Task = Callable[[Sequence[Trial]], list[TrialRecord]]
"""Runs a pack; one record per trial. ``vcm_sweep.sweep.train`` is one."""


class Executor(ABC):
    """Runs packs of trials.

    ``run`` takes packs lazily and yields the records of each as it ends, in any order. It yields exactly one
    record per trial, whatever happens to it: a trial that fails gives a record with its status and reason. It
    is used by one thread. Closing the iterator stops what is running and leaves nothing behind.
    """

    @abstractmethod
    def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
        """Yield the records of each pack as it ends."""


class InProcessExecutor(Executor):
    """Runs one pack after the other in this process: for tests, debugging and small studies."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
        """Yield the records of each pack, in order."""
        for pack in packs:
            yield run_isolated(self.task, pack)


def run_isolated(task: Task, pack: Sequence[Trial]) -> list[TrialRecord]:
    """The records of a pack; one that fails or does not fit into memory is halved until the culprit is alone.

    A StudyError is the user's to mend and passes through.
    """
    try:
        return task(pack)
    except StudyError:
        raise
    except Exception as error:
        failure = _reason(error)
    # Outside of the handler: the error's frames, and all the tensors in them, are gone before the halves start.
    if len(pack) > 1:
        middle = len(pack) // 2
        return [record for half in (pack[:middle], pack[middle:]) for record in run_isolated(task, half)]
    return [TrialRecord.failed(pack[0], *failure)]


def _reason(error: Exception) -> tuple[str, str]:
    """(status, reason) of a trial that failed with an error."""
    first = (str(error).splitlines() or [""])[0]
    # torch raises a bare RuntimeError where its CPU allocator fails.
    memory = isinstance(error, MemoryError) or "OutOfMemoryError" in type(error).__name__ or "can't allocate" in first
    return "oom" if memory else "error", f"{type(error).__name__}: {first}"[:500]

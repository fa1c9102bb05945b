"""What happens to a pack that failed: run again, halved, or recorded as failed. The same rules for every executor."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from vcm_sweep.sweep.trial import Trial, TrialRecord

_ONCE_MORE = 2  # the second failure of a cause counts, the first is tried again
_SINGLE_LOSSES = 3  # how often a trial alone may lose its worker before it is given up


class Cause(StrEnum):
    """Why a pack gave no records."""

    NODE = "node lost"
    WORKER = "worker lost"
    MEMORY = "out of memory"
    DEADLINE = "deadline"
    ERROR = "error"


@dataclass(frozen=True)
class Failure:
    """One failed attempt.

    Attributes:
        cause: the kind of failure, which decides what happens next.
        reason: one line; that of the last attempt goes into the record.
        node: where it happened, or "" if that is not known.
    """

    cause: Cause
    reason: str
    node: str = ""


@dataclass(frozen=True)
class PackAttempt:
    """One attempt at running some trials together, and their failures so far.

    Attributes:
        trials: at least one.
        number: number of this attempt, from 1: how often the trials have been started, including this time.
        failures: earlier failures of exactly these trials together.
        suspect: whether they are part of a larger pack that failed.
    """

    trials: tuple[Trial, ...]
    number: int = 1
    failures: tuple[Failure, ...] = ()
    suspect: bool = False


@dataclass(frozen=True)
class Verdict:
    """What follows from a failure: attempts to make next, and records of trials that are given up."""

    again: list[PackAttempt]
    records: list[TrialRecord]

    @property
    def halved(self) -> bool:
        """Whether the pack was cut in two."""
        return len(self.again) > 1


def judge(attempt: PackAttempt, failure: Failure, retries: int, lost_nodes: Collection[str] = ()) -> Verdict:
    """What to do with an attempt that failed.

    ==============  =========================  ========================================
    cause           a pack                     a single trial
    ==============  =========================  ========================================
    NODE            again, without limit       again, without limit
    WORKER          again once, then halves    at the third loss recorded as error
    MEMORY          halves                     at the second time recorded as oom
    DEADLINE        again once, then halves    at the second time recorded as timeout
    ERROR           halves                     again ``retries`` times, then as error
    ==============  =========================  ========================================

    The halves of a pack that failed are suspect: if one of them fails it is halved at once, not run again as it is.

    Args:
        attempt: the attempt that failed.
        failure: how it failed.
        retries: number of further attempts after an error of the trial itself.
        lost_nodes: nodes that have left the cluster. A worker lost on one of them counts as lost with its node, which
            often becomes known only later.

    >>> trials = [Trial(0, k, {}, {"device": {}}, seed=k) for k in range(4)]
    >>> pack, lost = PackAttempt(tuple(trials)), Failure(Cause.WORKER, "killed")
    >>> (second,) = judge(pack, lost, retries=1).again
    >>> [len(half.trials) for half in judge(second, lost, retries=1).again]
    [2, 2]
    """
    failures = tuple(_seen_now(earlier, lost_nodes) for earlier in (*attempt.failures, failure))
    cause = failures[-1].cause
    count = sum(earlier.cause is cause for earlier in failures)
    if cause is Cause.NODE or count < _limit(attempt, cause, retries):
        return Verdict([replace(attempt, number=attempt.number + 1, failures=failures)], [])
    if len(attempt.trials) > 1:
        middle = len(attempt.trials) // 2
        halves = (attempt.trials[:middle], attempt.trials[middle:])
        return Verdict([PackAttempt(half, attempt.number + 1, suspect=True) for half in halves], [])
    status, reason = _given_up(cause, failure.reason, count)
    record = TrialRecord.failed(attempt.trials[0], status, reason)
    return Verdict([], stamped([record], "", attempt.number))


def classified(error: Exception) -> Failure:
    """The failure for an exception that a task raised: out of memory, or an error."""
    first = (str(error).splitlines() or [""])[0]
    # torch raises a bare RuntimeError where its CPU allocator fails.
    memory = isinstance(error, MemoryError) or "OutOfMemoryError" in type(error).__name__ or "can't allocate" in first
    return Failure(Cause.MEMORY if memory else Cause.ERROR, f"{type(error).__name__}: {first}"[:500])


def stamped(records: Iterable[TrialRecord], node: str, attempts: int) -> list[TrialRecord]:
    """The records with the node where they were made, if they lack it, and the number of attempts."""
    return [replace(record, node=record.node or node, attempts=attempts) for record in records]


def _seen_now(failure: Failure, lost_nodes: Collection[str]) -> Failure:
    with_its_node = failure.cause is Cause.WORKER and failure.node in lost_nodes
    return replace(failure, cause=Cause.NODE) if with_its_node else failure


def _limit(attempt: PackAttempt, cause: Cause, retries: int) -> int:
    """The number of failures of one cause at which a pack is halved, or a single trial given up."""
    if len(attempt.trials) == 1:
        return {Cause.WORKER: _SINGLE_LOSSES, Cause.ERROR: 1 + retries}.get(cause, _ONCE_MORE)
    return _ONCE_MORE if cause in (Cause.WORKER, Cause.DEADLINE) and not attempt.suspect else 1


def _given_up(cause: Cause, reason: str, count: int) -> tuple[str, str]:
    """(status, reason) of the record of a trial that is given up."""
    if cause is Cause.WORKER:
        return "error", f"alone it lost its worker {count} times: {reason}"[:500]
    return {Cause.MEMORY: "oom", Cause.DEADLINE: "timeout"}.get(cause, "error"), reason


def whole(pack: Sequence[Trial]) -> PackAttempt:
    """The first attempt at a pack, as it comes from the study."""
    return PackAttempt(tuple(pack))

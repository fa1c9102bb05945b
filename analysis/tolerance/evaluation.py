"""`Evaluator`: trainings at any points, taken from the stores that hold them, else run by the executor and stored."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.tolerance.space import Point, nearest
from vcm_sweep.sweep.designs.limits import nominal_value
from vcm_sweep.sweep.packs.executor import Executor
from vcm_sweep.sweep.running.reuse import RESULTS
from vcm_sweep.sweep.running.running import OnRecords
from vcm_sweep.sweep.seeds import trial_seed
from vcm_sweep.sweep.store import Store
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.training.checkpoint import discard_checkpoints, tidy_checkpoints
from vcm_sweep.sweep.trial import Trial, TrialRecord

_FRESH = "confirm"
# What runs may go on for so long after Ctrl-C, s.
_GRACE_S = 5.0


@dataclass(frozen=True)
class TrainingOutcome:
    """What a search needs to know of one training.

    Attributes:
        accuracy: 0 for a training that diverged, since such a network is of no use. energy_j: NaN where not counted.
        diverged: whether it diverged. history: accuracy after each epoch. whole: whether the last epoch is among them.
    """

    accuracy: float
    energy_j: float
    diverged: bool
    history: tuple[float, ...] = ()
    whole: bool = True


class Evaluator:
    """Runs trainings for a search, each of them once.

    A training is identified by its key: if the store of the search, or another one, has a record with the same key, it
    is not run again. Search and confirmation use separate seeds, so that no seed of the one occurs in the other.

    Args:
        study: gives device, network and factors. store: the store of the search, open for writing.
        executor: runs the trainings. pack: number of trainings side by side.
        known: further stores to look into. progress: is called with the records that come in, and with ``total``, the
            number of trainings that are expected. grace_s: seconds to end what is running after an interrupt.
        checkpoints: folder for the states of paused trainings; without one no training is paused.
    """

    def __init__(
        self, study: Study, store: Store, executor: Executor, *, pack: int = 16, known: Sequence[Store] = (),
        progress: OnRecords | None = None, total: int = 0, checkpoints: str | None = None,
    ) -> None:  # fmt: skip
        self.study, self.store, self.executor, self.pack = study, store, executor, pack
        self.checkpoints = checkpoints
        self._progress, self._total = progress, total
        self._start = str(Path(study.network.start).resolve()) if study.network.start else ""
        self._nominal = {factor.name: nominal_value(study, factor) for factor in study.factors}
        self._known: dict[str, TrainingOutcome] = {}
        self._failed: dict[str, str] = {}
        self._asked: set[str] = set()
        self._numbers: dict[tuple[float, ...], int] = {}
        self._lowest = 0
        for source in (*known, store):
            self._learn(source)

    @property
    def spent(self) -> int:
        """Number of different trainings that were asked for, including those that were known already."""
        return len(self._asked)

    def count(self, trials: Iterable[Trial]) -> None:
        """Count trainings that an earlier process asked for; nothing is run."""
        self._asked |= {trial.key for trial in trials}

    def trained(self, point: Point) -> dict[str, float]:
        """The values with which a point is trained: where a factor takes those of a list, the nearest."""
        return {
            factor.name: nearest(factor, self._nominal[factor.name], float(point[factor.name]))
            for factor in self.study.factors
        }

    def trials(self, point: Point, replicates: Iterable[int], fresh: str = "") -> list[Trial]:
        """Trainings of a point, at the values of :meth:`trained`.

        ``fresh``: a word that makes their seeds different from those of the search.
        """
        values = self.trained(point)
        inputs = self.study.inputs(values)
        shared = {_FRESH: fresh, "inputs": inputs} if fresh else inputs
        # Negative numbers, since rows of a design count from 0: records of a search are never taken for its rows.
        number = self._numbers.setdefault(tuple(values.values()), self._lowest - 1)
        self._lowest = min(self._lowest, number)
        return [
            Trial(
                number, replicate, values, inputs, trial_seed(self.study.seed, replicate, shared),
                self.study.run.deadline_s, self._start,
            )
            for replicate in replicates
        ]  # fmt: skip

    def run(self, trials: Sequence[Trial], pause_after: int = 0) -> None:
        """Train what has no result yet; ``pause_after``: pause each training after so many epochs, 0 for never."""
        unique = {trial.key: trial for trial in trials}
        self._asked |= unique.keys()
        left = [trial for key, trial in unique.items() if self._is_left(key, pause_after)]
        if pause_after and self.checkpoints:
            left = [replace(trial, pause_after=pause_after) for trial in left]
        self._tell([])
        if left:
            self._run(left)

    def outcome(self, trial: Trial) -> TrainingOutcome | None:
        """The outcome of a training; None where it has no result."""
        return self._known.get(trial.key)

    def results(self, trials: Sequence[Trial]) -> list[TrainingOutcome]:
        """The outcomes of those trainings that ended.

        Raises:
            AnalysisError: none of them ended.
        """
        found = [done for trial in trials if (done := self._known.get(trial.key)) and done.whole]
        if not found:
            reasons = [self._failed[trial.key] for trial in trials if trial.key in self._failed]
            raise AnalysisError(
                f"no training at {_shown(trials[0].factors)} ended ({reasons[0] if reasons else 'not run'}): "
                "run vcm-sweep tolerance again, with a longer [run] deadline_s, or narrower ranges"
            )
        return found

    def accuracies(self, trials: Sequence[Trial]) -> NDArray[np.float64]:
        """(n,) accuracies of those trainings that ended."""
        return np.array([outcome.accuracy for outcome in self.results(trials)])

    @property
    def failures(self) -> int:
        """Number of trainings of this search that failed, and so have no result."""
        return sum(key in self._asked and key not in self._known for key in self._failed)

    def forget(self, trials: Iterable[Trial]) -> None:
        """Remove the checkpoints of trainings that will not be continued."""
        if self.checkpoints:
            discard_checkpoints(self.checkpoints, [trial.key for trial in trials])
            tidy_checkpoints(self.checkpoints)

    def histories(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """((n, epochs) accuracy after each epoch, (n,) accuracy at the end) of all trainings that were finished."""
        epochs = self.study.network.epochs
        whole = [
            outcome.history for outcome in self._known.values() if outcome.whole and len(outcome.history) == epochs
        ]
        table = np.array(whole, dtype=np.float64).reshape(len(whole), epochs)
        return table, table[:, -1] if epochs else np.empty(0)

    def _is_left(self, key: str, pause_after: int) -> bool:
        outcome = self._known.get(key)
        if outcome is None:
            # A training that failed is not tried again by the same process.
            return key not in self._failed
        return not outcome.whole and not 0 < pause_after <= len(outcome.history)

    def _run(self, trials: Sequence[Trial]) -> None:
        packs = (trials[start : start + self.pack] for start in range(0, len(trials), self.pack))
        arriving = self.executor.run(packs)
        try:
            for records in arriving:
                self._take(records)
            self.store.flush()
        except KeyboardInterrupt:
            for records in self.executor.finish(_GRACE_S):
                self._take(records)
            self.store.flush()
            raise
        finally:
            close = getattr(arriving, "close", None)
            if close:
                close()
        self.forget(trial for trial in trials if (done := self._known.get(trial.key)) and done.whole)

    def _take(self, records: list[TrialRecord]) -> None:
        self.store.append(records)
        for record in records:
            energy = math.nan if record.energy_j is None else record.energy_j
            self._note(record.key, record.status, record.reason, record.accuracy, energy, record.history)
        self._tell(records)

    def _tell(self, records: list[TrialRecord]) -> None:
        if self._progress:
            ended = (known.whole if (known := self._known.get(key)) else key in self._failed for key in self._asked)
            # A paused training has neither ended nor failed, so it is not reported.
            told = [record for record in records if not _is_paused(record)]
            self._progress(sum(ended), max(self._total, len(self._asked)), told)

    def _note(
        self, key: str, status: str, reason: str, accuracy: float, energy_j: float, history: Sequence[float] | None
    ) -> None:
        past = tuple(history or ())
        if status in RESULTS:
            bad = status != "ok"
            self._known[key] = TrainingOutcome(0.0 if bad else accuracy, energy_j, bad, past)
        elif status == "preempted" and past:
            self._known.setdefault(key, TrainingOutcome(math.nan, energy_j, False, past, whole=False))
        else:
            self._failed[key] = f"{status}: {reason}" if reason else status

    def _learn(self, source: Store) -> None:
        """Read what a store holds, except failures, so that they are tried again."""
        for row in _rows(source, ["key", "status", "accuracy", "energy_j", "history"]):
            if row["status"] in (*RESULTS, "preempted"):
                energy = math.nan if row["energy_j"] is None else row["energy_j"]
                self._note(row["key"], row["status"], "", row["accuracy"], energy, row["history"])
        if source is self.store:
            names = [f"x_{factor.name}" for factor in self.study.factors]
            for row in _rows(source, ["point", *names]):
                self._numbers.setdefault(tuple(row[name] for name in names), row["point"])
                self._lowest = min(self._lowest, row["point"])


def _is_paused(record: TrialRecord) -> bool:
    return record.status == "preempted" and bool(record.history)


def _rows(store: Store, columns: list[str]) -> Iterator[dict[str, Any]]:
    for batch in store.table(columns).to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def _shown(values: Point) -> str:
    return ", ".join(f"{name} = {value:.4g}" for name, value in values.items())

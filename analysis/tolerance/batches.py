"""Rounds of a search: ask Optuna for some points, train them together, tell the results; cut hopeless ones short."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from vcm_sweep.analysis.tolerance.early_stopping import Forecast, first_look
from vcm_sweep.analysis.tolerance.evaluation import Evaluator
from vcm_sweep.analysis.tolerance.optuna_study import KNOWN, OptunaStudy
from vcm_sweep.sweep.trial import Trial as Training

if TYPE_CHECKING:
    from optuna.trial import Trial

Params: TypeAlias = Mapping[str, float]
MOST_KNOWN = 128
"""At most this many known points are entered into a search: a Gaussian process costs the cube of their number."""

# A budget is spent in at least this many rounds. The points of a round are proposed without knowing each other's
# results, so a single round would be a random search.
_LEAST_ROUNDS = 8


@dataclass(frozen=True)
class PointResult:
    """The results of a point.

    Attributes:
        accuracy, energy_j: means over its trainings. cut: whether its trainings were left before their end; the
        accuracy
            is then a forecast.
    """

    accuracy: float
    energy_j: float
    cut: bool = False


class Batches:
    """Asks Optuna for points, trains them, and tells it the results.

    Args:
        optuna_study: proposes points. evaluator: trains them. point: makes factor values of Optuna's parameters.
        objectives: makes the objectives of the parameters and the results of a point.
        below: how far a result stays below the target; None for a search without a target.
        target: trainings that cannot reach it are cut short; None cuts none. replicates: trainings of a point.
    """

    def __init__(
        self, optuna_study: OptunaStudy, evaluator: Evaluator, point: Callable[[Params], dict[str, float]],
        objectives: Callable[[Params, PointResult], Sequence[float]], *,
        below: Callable[[PointResult], float] | None = None, target: float | None = None, replicates: int = 2,
    ) -> None:  # fmt: skip
        self.optuna_study, self.evaluator, self._point = optuna_study, evaluator, point
        self._objectives, self._below, self._target, self.replicates = objectives, below, target, replicates
        # Trainings that an earlier process asked for count towards the budget.
        for trial in optuna_study.begun():
            evaluator.count(evaluator.trials(point(trial.params), range(replicates)))
        self.cut = sum(bool(trial.user_attrs.get("cut")) for trial in optuna_study.done())

    def enter(self, known: Sequence[tuple[Params, PointResult]], count: Sequence[int]) -> None:
        """Tell Optuna about points with known results, before anything is asked; done once per study of Optuna."""
        if self.optuna_study.study.user_attrs.get("known points entered"):
            return
        for (params, result), trainings in list(zip(known, count, strict=True))[:MOST_KNOWN]:
            below = None if self._below is None else self._below(result)
            self.optuna_study.add(params, self._objectives(params, result), {KNOWN: f"{trainings} trainings"}, below)
        self.optuna_study.study.set_user_attr("known points entered", len(known))

    def first(self, points: Sequence[Params]) -> None:
        """Ask for these points before any that the sampler proposes; done once per study of Optuna."""
        if not self.optuna_study.study.user_attrs.get("first points asked"):
            for params in points:
                self.optuna_study.enqueue(params)
            self.optuna_study.study.set_user_attr("first points asked", len(points))

    def run(self, budget: int, batch: int) -> None:
        """Ask and train until the evaluator has spent ``budget`` trainings; a round has ``batch``, at most an eighth.

        Trainings that earlier processes asked for count. Only those that were running when a process was killed may
        exceed the budget.
        """
        batch = min(batch, budget // _LEAST_ROUNDS)
        while True:
            left = budget - self.evaluator.spent
            size = min(max(1, batch // self.replicates), left // self.replicates)
            size = max(size, self.optuna_study.waiting)
            if size < 1:
                return
            before = self.evaluator.spent
            self._round(self.optuna_study.ask(size))
            # If all proposals of a round were known already, stop: a space of a single point would propose it for ever.
            if self.evaluator.spent == before and not self.optuna_study.waiting:
                return

    def _round(self, asked: "Sequence[Trial]") -> None:
        trainings = [self.evaluator.trials(self._point(trial.params), range(self.replicates)) for trial in asked]
        hopeless = self._look(trainings)
        self.evaluator.run([t for k, some in enumerate(trainings) if k not in hopeless for t in some])
        for k, (trial, some) in enumerate(zip(asked, trainings, strict=True)):
            result = hopeless.get(k) or self._result(some)
            if result is None:
                self.optuna_study.tell(trial, None, {"why": "none of its trainings ended"})
                continue
            self.cut += result.cut
            self._report(trial, some)
            notes: dict[str, Any] = {"accuracy": result.accuracy, "energy_j": _null(result.energy_j), "cut": result.cut}
            below = None if self._below is None else self._below(result)
            # A point that was cut short is told as complete, too: its sampler shall learn that it is below the target.
            self.optuna_study.tell(trial, list(self._objectives(trial.params, result)), notes, below)

    def _look(self, trainings: Sequence[Sequence[Training]]) -> dict[int, PointResult]:
        """By number, the points that are hopeless after their first epochs, with the results that are forecast."""
        epochs = first_look(self.evaluator.study.network.epochs)
        if self._target is None or not self.evaluator.checkpoints or not epochs:
            return {}
        table, final = self.evaluator.histories()
        forecast = Forecast(table[:, epochs - 1], final)
        if not forecast.usable:
            return {}
        self.evaluator.run([t for some in trainings for t in some], pause_after=epochs)
        left: dict[int, PointResult] = {}
        for k, some in enumerate(trainings):
            outcomes = [self.evaluator.outcome(training) for training in some]
            paused = [o for o in outcomes if o is not None and not o.whole]
            if len(paused) < len(outcomes):
                continue
            expected = np.array([forecast.expects(outcome.history[epochs - 1]) for outcome in paused])
            mean, best = expected.mean(axis=0)
            if best < self._target:
                left[k] = PointResult(float(mean), float("nan"), cut=True)
                self.evaluator.forget(some)
        return left

    def _result(self, some: Sequence[Training]) -> PointResult | None:
        found = [o for training in some if (o := self.evaluator.outcome(training)) is not None and o.whole]
        if not found:
            return None
        return PointResult(float(np.mean([o.accuracy for o in found])), float(np.mean([o.energy_j for o in found])))

    def _report(self, trial: "Trial", some: Sequence[Training]) -> None:
        """Report the mean accuracy after each epoch, for the dashboard; Optuna accepts that for one objective only."""
        outcomes = [o for training in some if (o := self.evaluator.outcome(training)) is not None]
        if len(self.optuna_study.study.directions) > 1 or not outcomes:
            return
        for epoch in range(min(len(outcome.history) for outcome in outcomes)):
            trial.report(float(np.mean([outcome.history[epoch] for outcome in outcomes])), epoch + 1)


def _null(value: float) -> float | None:
    return None if np.isnan(value) else value

"""Question (c): what does accuracy cost, in energy, or in tolerance? The points that nothing beats in both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.tolerance.answer import FrontPoint, ToleranceAnswer
from vcm_sweep.analysis.tolerance.batches import Batches, Params, PointResult
from vcm_sweep.analysis.tolerance.confirmation import mean_index
from vcm_sweep.analysis.tolerance.context import Context
from vcm_sweep.analysis.tolerance.evaluation import TrainingOutcome
from vcm_sweep.analysis.tolerance.front import front_of, history
from vcm_sweep.analysis.tolerance.joint import Known, harmful_sides, known_in, places_of, space_of
from vcm_sweep.analysis.tolerance.optuna_study import KNOWN, processes_first

# At most this many points of the front are confirmed with fresh seeds: nobody needs more, and each costs trainings.
_MOST_ON_FRONT = 12
_MOST_KNOWN, _MOST_BY_PROCESSES = 48, 96


@dataclass(frozen=True)
class _Plane:
    """The two objectives, which are accuracy and another one: its name, its direction, and its value for a point.

    Attributes:
        other: the other objective of a point, from its parameters and its results. sign: 1 where more of it is worse.
        of: the other objective of a single training of a point.
        ends: points that are asked first, because the ends of the front are known to be there.
    """

    name: str
    sign: float
    space: dict[str, FloatDistribution]
    point: Callable[[Params], dict[str, float]]
    other: Callable[[Params, PointResult], float]
    of: Callable[[Params, TrainingOutcome], float]
    known: list[Known]
    remarks: list[str]
    ends: tuple[Params, ...] = ()

    def losses(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Objectives turned into (n, 2) losses, of which smaller is better."""
        return np.asarray(values * np.array([-1.0, self.sign]))


def answer_trade_off(context: Context) -> ToleranceAnswer:
    """The front of accuracy against energy, or against the summed tolerance, confirmed with fresh seeds."""
    spec = context.spec
    plane = _energy(context) if spec.against == "energy" else _tolerance(context)
    batches = _search(context, plane)
    done = batches.optuna_study.done()
    if not done:
        raise AnalysisError("[tolerance] no point of the trade-off ended: see the failures of the search")
    values = np.array([trial.values for trial in done])
    counts = np.array([0 if KNOWN in trial.user_attrs else spec.replicates for trial in done])
    spent = context.evaluator.spent
    on_front = front_of(plane.losses(values))
    chosen = on_front[
        np.unique(np.linspace(0, len(on_front) - 1, min(_MOST_ON_FRONT, len(on_front))).round().astype(int))
    ]
    front = _confirmed(context, plane, [done[k].params for k in chosen])
    confirmed = (
        f"{len(front)} of {len(chosen)} points of the front stay unbeaten with {spec.confirm} fresh seeds each; the "
        "values are those of the fresh seeds."
    )
    return ToleranceAnswer(
        "trade-off", "accuracy", float("nan"), spec.confidence, (), confirmed,
        (*plane.remarks, *context.remarks()), front, history(plane.losses(values), counts), spent,
    )  # fmt: skip


def _search(context: Context, plane: _Plane) -> Batches:
    optuna_study = context.optuna_study(
        f"trade-off with {plane.name}", ["maximize", "minimize" if plane.sign > 0 else "maximize"],
        ["accuracy", plane.name], processes_first(_MOST_BY_PROCESSES), plane.space,
    )  # fmt: skip
    batches = Batches(
        optuna_study, context.evaluator, plane.point,
        lambda params, result: [result.accuracy, plane.other(params, result)], replicates=context.spec.replicates,
    )  # fmt: skip
    known = [entry for entry in plane.known if np.isfinite(plane.other(entry[0], entry[1]))]
    if known:
        values = np.array([[result.accuracy, plane.other(params, result)] for params, result, _ in known])
        known = [known[k] for k in _layers(plane.losses(values), _MOST_KNOWN)]
    batches.enter([(params, result) for params, result, _ in known], [count for *_, count in known])
    batches.first(plane.ends)
    batches.run(context.spec.trials, context.batch)
    return batches


def _layers(losses: NDArray[np.float64], most: int) -> list[int]:
    """At most ``most`` rows: those of the front, then of the front of the remaining rows, and so on."""
    left = np.arange(len(losses))
    chosen: list[int] = []
    while len(left) and len(chosen) < most:
        best = front_of(losses[left])
        chosen += left[best].tolist()
        left = np.delete(left, best)
    return chosen[:most]


def _confirmed(context: Context, plane: _Plane, params: Sequence[Params]) -> tuple[FrontPoint, ...]:
    spec, evaluator = context.spec, context.evaluator
    trials = [evaluator.trials(plane.point(p), range(spec.confirm), fresh="confirmation") for p in params]
    evaluator.run([trial for some in trials for trial in some])
    points = []
    for p, some in zip(params, trials, strict=True):
        outcomes = evaluator.results(some)
        objectives = (
            mean_index("accuracy", np.array([o.accuracy for o in outcomes]), spec.confidence),
            mean_index(plane.name, np.array([plane.of(p, o) for o in outcomes]), spec.confidence),
        )
        points.append(FrontPoint(plane.point(p), objectives))
    values = np.array([[index.value for index in point.objectives] for point in points])
    return tuple(points[k] for k in front_of(plane.losses(values)))


def _energy(context: Context) -> _Plane:
    counted = context.evaluator.trials(context.nominal, range(context.spec.replicates))
    context.evaluator.run(counted)
    if any(np.isnan(outcome.energy_j) for outcome in context.evaluator.results(counted)):
        raise AnalysisError(
            "[tolerance] against = 'energy': the study's device does not count its energy; ask against = 'tolerance'"
        )
    space = {
        factor.name: FloatDistribution(factor.low, factor.high, log=factor.law.log) for factor in context.study.factors
    }
    return _Plane(
        "energy_j", 1.0, space, context.evaluator.trained,
        lambda _, result: result.energy_j, lambda _, outcome: outcome.energy_j,
        [(known.point, PointResult(known.accuracy, known.energy_j), known.count) for known in context.known_points()],
        [],
    )  # fmt: skip


def _tolerance(context: Context) -> _Plane:
    sides, remarks = harmful_sides(context)
    weights = np.array([context.weight(side.factor.name) for side in sides])

    def summed(params: Params) -> float:
        return float(weights @ places_of(sides, params))

    return _Plane(
        "tolerance", -1.0, space_of(sides), context.evaluator.trained,
        lambda params, _: summed(params), lambda params, _: summed(params),
        known_in(context, sides), remarks,
        # Nominal has the least summed tolerance, and all factors at their limits the most.
        tuple({side.factor.name: side.value(u) for side in sides} for u in (0.0, 1.0)),
    )  # fmt: skip

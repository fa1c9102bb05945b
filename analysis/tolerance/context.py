"""`Context`, what all questions share: the study, the question, what trains, and where Optuna's studies are."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vcm_sweep.analysis.tolerance.evaluation import Evaluator
from vcm_sweep.analysis.tolerance.optuna_study import FILE, OptunaStudy
from vcm_sweep.sweep.designs.limits import nominal_value
from vcm_sweep.sweep.running.reuse import RESULTS
from vcm_sweep.sweep.store.results import Results
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.study.tables.tolerance import ToleranceSpec

if TYPE_CHECKING:
    from optuna.distributions import FloatDistribution
    from optuna.samplers import BaseSampler

# Trainings of the nominal device. Every search starts there, so it has to be known well; with a target relative to
# nominal ("drop"), even better.
_AT_NOMINAL = 8
_AT_NOMINAL_DROP = 24


@dataclass(frozen=True)
class Context:
    """One question on its way to an answer.

    Attributes:
        study: the study that is asked about. spec: the question. evaluator: what trains.
        place: local folder of Optuna's file. results: the study's own records, if there are any.
        batch: trainings per round.
    """

    study: Study
    spec: ToleranceSpec
    evaluator: Evaluator
    place: Path
    results: Results | None = None
    batch: int = 32

    @cached_property
    def nominal(self) -> dict[str, float]:
        """The value of every factor in the study's device and network before any factor acts."""
        return {factor.name: nominal_value(self.study, factor) for factor in self.study.factors}

    @property
    def at_nominal(self) -> int:
        """Number of trainings of the nominal device."""
        return max(_AT_NOMINAL if self.spec.drop is None else _AT_NOMINAL_DROP, self.spec.replicates)

    def target(self) -> tuple[float, float, list[str]]:
        """(target, its standard error, remarks)."""
        if self.spec.drop is None:
            assert self.spec.target is not None
            return self.spec.target, 0.0, []
        trials = self.evaluator.trials(self.nominal, range(self.at_nominal))
        self.evaluator.run(trials)
        values = self.evaluator.accuracies(trials)
        error = float(values.std(ddof=1)) / len(values) ** 0.5
        return (
            float(values.mean()) - self.spec.drop,
            error,
            [
                f"The target is {100 * self.spec.drop:.3g} points below the nominal device, whose mean accuracy is "
                f"{100 * values.mean():.2f} % (standard error {100 * error:.2f}, {len(values)} trainings)."
            ],
        )

    def whole_space(self) -> "dict[str, FloatDistribution]":
        """Every factor over its range, extended to include its nominal value."""
        from optuna.distributions import FloatDistribution

        return {
            factor.name: FloatDistribution(
                min(factor.low, self.nominal[factor.name]), max(factor.high, self.nominal[factor.name])
            )
            for factor in self.study.factors
        }

    def optuna_study(
        self, name: str, directions: Sequence[str], objectives: Sequence[str],
        make_sampler: "Callable[[int, int], BaseSampler]", space: "Mapping[str, FloatDistribution]",
    ) -> OptunaStudy:  # fmt: skip
        """The study of Optuna for this question; a question with another target or other weights has another one."""
        return OptunaStudy(
            self.place / FILE, f"{name} {self._digest(space)}", directions, objectives, make_sampler, space,
            self.study.seed,
        )  # fmt: skip

    def _digest(self, space: "Mapping[str, FloatDistribution]") -> str:
        asked: dict[str, Any] = {
            name: getattr(self.spec, name) for name in ("target", "drop", "weights", "against", "replicates")
        }
        asked["space"] = {name: [d.low, d.high, d.log] for name, d in space.items()}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]

    def weight(self, factor: str) -> float:
        """The weight of a factor's tolerance in the sum."""
        return self.spec.weights.get(factor, 1.0)

    def known_points(self) -> "list[KnownPoint]":
        """Points of the study's own design that have results."""
        if self.results is None:
            return []
        table = self.results.records(["point", "status", "accuracy", "energy_j"])
        status, place = np.array(table["status"].to_pylist(), dtype="U16"), table["point"].to_numpy()
        ended = np.isin(status, RESULTS)
        # As in the search, a training that diverged counts as accuracy 0: without it its point would look good.
        accuracy = np.where(status == "ok", table["accuracy"].to_numpy().astype(float), 0.0)
        energy = table["energy_j"].to_numpy().astype(float)
        points = self.results.points()

        def means(values: Any, told: Any) -> tuple[Any, Any]:
            count = np.bincount(place[told], minlength=len(points))
            with np.errstate(invalid="ignore"):
                return np.bincount(place[told], values[told], minlength=len(points)) / count, count

        (accuracies, counts), (energies, _) = means(accuracy, ended), means(energy, ended & np.isfinite(energy))
        names = [factor.name for factor in self.study.factors]
        return [
            KnownPoint(
                dict(zip(names, map(float, points[k]), strict=True)),
                float(accuracies[k]), float(energies[k]), int(counts[k]),
            )
            for k in np.flatnonzero(counts)
        ]  # fmt: skip

    def remarks(self) -> list[str]:
        """What a reader must know beside the answer."""
        if failures := self.evaluator.failures:
            return [f"{failures} trainings had no result and were left out; the same command tries them again."]
        return []


@dataclass(frozen=True)
class KnownPoint:
    """A point that was trained before, with its means over ``count`` trainings."""

    point: dict[str, float]
    accuracy: float
    energy_j: float
    count: int

"""Confirming answers: each is trained again with seeds that no search has seen, and made smaller where it fails."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.tolerance.evaluation import Evaluator
from vcm_sweep.analysis.tolerance.line_search import LineSearch
from vcm_sweep.analysis.tolerance.space import Point

ATTEMPTS = 4
# A refuted value shrinks by at least this fraction of itself.
_SHRINK = 0.04


@dataclass
class Confirmation:
    """A place on a ray that is to be confirmed.

    Attributes:
        place: the present answer. accuracies: those of fresh seeds there. refuted: how often it was made smaller.
        holds: whether the mean of these accuracies keeps the target.
    """

    place: float
    accuracies: NDArray[np.float64]
    refuted: int = 0
    holds: bool = True


def mean_index(name: str, values: NDArray[np.float64], confidence: float) -> Index:
    """The mean with its interval by Student's t; an interval without width where all values are equal."""
    mean = float(values.mean())
    if len(values) < 2:
        return Index(name, mean, float("nan"), float("nan"))
    half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * float(values.std(ddof=1)) / len(values) ** 0.5
    return Index(name, mean, mean - half, mean + half)


def fresh(evaluator: Evaluator, points: Sequence[Point], count: int) -> list[list[float]]:
    """Accuracies of ``count`` trainings of each point, with the seeds of the confirmation."""
    trials = [evaluator.trials(point, range(count), fresh="confirmation") for point in points]
    evaluator.run([trial for some in trials for trial in some])
    return [evaluator.accuracies(some).tolist() for some in trials]


def confirm(search: LineSearch, count: int) -> dict[str, Confirmation]:
    """The safe place of every ray, trained with fresh seeds, and made smaller as long as these refute it.

    A place is refuted if the mean accuracy of its fresh seeds is below the target. These trainings then count as
    evidence like all others. The place that is safe by all the evidence, but at least 4 % smaller, is trained with
    further fresh seeds; ``ATTEMPTS`` times at most.
    """
    found: dict[str, Confirmation] = {}
    pending = {name: search.crossing(name).safe(search.spec.confidence) for name in search.rays}
    for attempt in range(ATTEMPTS):
        names = list(pending)
        points = [search.rays[name].point(pending[name]) for name in names]
        for name, values in zip(names, fresh(search.evaluator, points, count), strict=True):
            accuracies = np.array(values)
            holds = float(accuracies.mean()) >= search.target
            found[name] = Confirmation(pending[name], accuracies, attempt, holds)
            place = pending.pop(name)
            if holds or place == 0.0:
                continue
            search.take_in(name, place, values)
            pending[name] = min(search.crossing(name).safe(search.spec.confidence), place * (1 - _SHRINK))
        if not pending:
            break
    return found


def in_words(found: dict[str, Confirmation], target: float, count: int) -> str:
    """The sentence that says what the fresh seeds found."""
    held = sum(confirmation.holds for confirmation in found.values())
    shrunk = sum(confirmation.refuted > 0 for confirmation in found.values())
    sentence = f"With {count} fresh seeds each, {held} of {len(found)} keep a mean of {100 * target:.3g} % or above" + (
        f"; {shrunk} had to be made smaller for it" if shrunk else ""
    )
    failed = [name for name, confirmation in found.items() if not confirmation.holds]
    if failed:
        sentence += f"; not confirmed: {', '.join(failed)}"
    return sentence + "."

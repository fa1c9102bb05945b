"""`LineSearch`: where rays cross the target, found for many rays at once by training where the crossing may be."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.tolerance.crossing import Crossing, find_crossing
from vcm_sweep.analysis.tolerance.evaluation import Evaluator
from vcm_sweep.analysis.tolerance.optuna_study import OptunaStudy
from vcm_sweep.analysis.tolerance.space import Ray
from vcm_sweep.sweep.study.tables.tolerance import ToleranceSpec

_FIRST = (0.0, 0.25, 0.5, 0.75, 1.0)
# The next trainings go to these quantiles of the posterior of the crossing.
_NEXT = (0.25, 0.75)
# Places nearer than this are one: another replicate at the place tells more than a place right beside it.
_SAME = 0.01
_SURE = 0.995
_LEAST_ROUNDS = 2


class LineSearch:
    """Finds where rays cross the target.

    Each round computes the posterior of every crossing (see :mod:`.crossing`) and adds replicates at its quartiles. A
    ray is settled when its interval is narrow, or when it is certain that the accuracy is below the target nowhere, or
    already at nominal. The rays of a round are trained together.

    Args:
        rays: by name. evaluator: what trains. optuna_study: where all places and results are kept.
        spec: the trainings in all and of a place at a time, the half-width of a settled ray, and the confidence.
        target, target_sd: the mean accuracy to keep, and its standard error.
        first: places to begin with, by ray. at_nominal: trainings of the nominal point.
    """

    def __init__(
        self, rays: Mapping[str, Ray], evaluator: Evaluator, optuna_study: OptunaStudy, spec: ToleranceSpec, *,
        target: float, target_sd: float, at_nominal: int, first: Mapping[str, Sequence[float]] | None = None,
    ) -> None:  # fmt: skip
        self.rays, self.evaluator, self.optuna_study = dict(rays), evaluator, optuna_study
        self.spec, self.target, self.target_sd = spec, target, target_sd
        self._first, self._at_nominal = dict(first or {}), at_nominal
        # By ray and place: how many replicates it has.
        self.counts: dict[str, dict[float, int]] = {name: {} for name in rays}
        self._found: dict[str, tuple[int, Crossing]] = {}
        self._extra: dict[str, dict[float, list[float]]] = {name: {} for name in rays}
        for trial in optuna_study.done():
            if (name := trial.user_attrs.get("ray")) in self.counts:
                self._count(name, trial.user_attrs["place"], trial.user_attrs["last"])
        evaluator.run(
            [t for name, places in self.counts.items() for u, n in places.items() for t in self._trials(name, u, n)]
        )

    def run(self) -> dict[str, Crossing]:
        """Search until all rays are settled or the budget is used up; returns the crossing of every ray."""
        while True:
            if not self.optuna_study.waiting:
                wanted = self._wanted()
                if not wanted:
                    return {name: self.crossing(name) for name in self.rays}
                for name, place, count in wanted:
                    first = self.counts[name].get(place, 0)
                    point = self.rays[name].point(place)
                    moved = {side.factor.name: point[side.factor.name] for side in self.rays[name].sides}
                    self.optuna_study.enqueue(moved, ray=name, place=place, first=first, last=first + count)
            self._round()

    def crossing(self, name: str) -> Crossing:
        """The posterior of a ray's crossing, from all that is known now."""
        places = sorted(self.counts[name])
        values = [self.values(name, place) for place in places]
        number = sum(map(len, values))
        if self._found.get(name, (0, None))[0] != number:
            seed = self.evaluator.study.seed + number
            found = find_crossing(np.array(places), values, self.target, target_sd=self.target_sd, seed=seed)
            self._found[name] = (number, found)
        return self._found[name][1]

    def values(self, name: str, place: float) -> NDArray[np.float64]:
        """Accuracies at a place of a ray."""
        count = self.counts[name][place]
        known = self.evaluator.accuracies(self._trials(name, place, count)) if count else np.empty(0)
        return np.concatenate([known, self._extra[name].get(place, [])])

    def diverged(self, name: str, beyond: float) -> tuple[float, float]:
        """(share that diverged, mean accuracy of the others) at the next two places below the target.

        The mean is NaN where all diverged.
        """
        places = [place for place, count in sorted(self.counts[name].items()) if place >= beyond and count]
        below = [place for place in places if self.values(name, place).mean() < self.target][:2]
        outcomes = [o for u in below for o in self.evaluator.results(self._trials(name, u, self.counts[name][u]))]
        ended = [outcome.accuracy for outcome in outcomes if not outcome.diverged]
        share = 1.0 - len(ended) / len(outcomes) if outcomes else 0.0
        return share, float(np.mean(ended)) if ended else float("nan")

    def take_in(self, name: str, place: float, accuracies: Sequence[float]) -> None:
        """Add the accuracies of further trainings at a place, such as those that refuted an answer."""
        self.counts[name].setdefault(place, 0)
        self._extra[name].setdefault(place, []).extend(accuracies)

    def _trials(self, name: str, place: float, last: int, first: int = 0) -> list[Any]:
        return self.evaluator.trials(self.rays[name].point(place), range(first, last))

    def _count(self, name: str, place: float, last: int) -> None:
        self.counts[name][place] = max(self.counts[name].get(place, 0), last)

    def _wanted(self) -> list[tuple[str, float, int]]:
        """(ray, place, replicates) for the next round; empty when the search is over."""
        begun = [
            (name, place, max(self.spec.replicates, self._at_nominal) if place == 0.0 else self.spec.replicates)
            for name in self.rays
            for place in self._first.get(name, _FIRST)
            if place not in self.counts[name]
        ]
        if begun:
            return begun
        left = self.spec.trials - self.evaluator.spent
        wanted: list[tuple[str, float, int]] = []
        # Widest intervals first, in case the budget is not enough for all.
        open_rays = sorted(
            ((-self._width(found), name, found) for name, found in self._open()), key=lambda ray: ray[:2]
        )
        for _, name, found in open_rays:
            places = list(dict.fromkeys(self._place(name, found.quantile(q)) for q in _NEXT))
            cost = self.spec.replicates * len(_NEXT)
            if left < cost:
                break
            left -= cost
            wanted += [(name, place, cost // len(places)) for place in places]
        return wanted

    def _open(self) -> list[tuple[str, Crossing]]:
        found = []
        for name in self.rays:
            crossing = self.crossing(name)
            trained = sum(self.counts[name].values())
            first = self.spec.replicates * (len(_FIRST) + _LEAST_ROUNDS * len(_NEXT))
            sure = max(crossing.never, crossing.below_at_start) > _SURE
            if not sure and (self._width(crossing) > self.spec.precision or trained < first):
                found.append((name, crossing))
        return found

    def _width(self, crossing: Crossing) -> float:
        low, high = crossing.interval(self.spec.confidence)
        return (high - low) / 2.0

    def _place(self, name: str, u: float) -> float:
        near = min(self.counts[name], key=lambda place: abs(place - u))
        return near if abs(near - u) < _SAME else round(u, 4)

    def _round(self) -> None:
        """Train everything that is enqueued, and tell the results."""
        asked = self.optuna_study.ask(self.optuna_study.waiting)
        jobs = []
        for trial in asked:
            notes = trial.user_attrs
            if notes["ray"] not in self.rays:
                # Enqueued by a process that was killed; since then a larger budget has found better directions.
                self.optuna_study.tell(trial, None, {"why": "its direction is no longer one of the best"})
                continue
            jobs.append((trial, notes["ray"], notes["place"], notes["first"], notes["last"]))
        self.evaluator.run([t for _, name, place, first, last in jobs for t in self._trials(name, place, last, first)])
        for trial, name, place, first, last in jobs:
            values = self.evaluator.accuracies(self._trials(name, place, last, first))
            self.optuna_study.tell(trial, [float(values.mean())], {"accuracies": values.tolist()})
            self._count(name, place, last)

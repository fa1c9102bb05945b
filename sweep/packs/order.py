"""The order in which trials are packed: corners of the ranges first, then the longest, similar costs together."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from vcm_sweep.sweep.designs.design import Design, Indices
from vcm_sweep.sweep.packs.costs import Array, CostModel
from vcm_sweep.sweep.training.stackable import splits_packs, stack_key
from vcm_sweep.sweep.trial import Trial, TrialRecord

MIN_PILOT = 8
# With this many records the costs are known well enough: further ones are ignored.
MOST_LEARNED = 1 << 14
# A study of fewer points is not worth an answer of its own, and its packs would hold less alike trials.
_FIRST_PART = 256


def corner_points(design: Design, count: int = MIN_PILOT) -> Indices:
    """Points that show how costs vary: those nearest to all factors high and all low, and each factor at each end.

    If these are fewer than ``count``, points spread over the design are added, as far as it has them.
    """
    scaled = design.scaled()
    middle = ((scaled - 0.5) ** 2).sum(1)
    chosen = [int(np.argmin(((scaled - end) ** 2).sum(1))) for end in (1.0, 0.0)]
    for factor in range(design.dimension):
        # On a grid many points are at the end of a factor: the one whose other factors are nearest to the middle.
        chosen += [int(np.lexsort((middle, sign * scaled[:, factor]))[0]) for sign in (-1, 1)]
    spread = np.linspace(0, len(scaled) - 1, min(count, len(scaled))).astype(int)
    rest = [int(point) for point in spread if point not in chosen]
    unique = list(dict.fromkeys(chosen))
    return np.array(unique + rest[: max(0, count - len(unique))], np.int64)


def kinds(design: Design) -> Indices:
    """(rows,) the kind of each point: trials of one kind can be stacked."""
    study = design.study
    columns: list[list[Any]] = [
        [factor.field_value(value) for value in design.points[:, j].tolist()]
        for j, factor in enumerate(study.factors)
        if splits_packs(factor)
    ]
    if study.conditions:
        columns.append([stack_key(study.inputs_of(condition)) for condition in study.conditions])
    found: dict[tuple[Any, ...], int] = {}
    return np.array(
        [found.setdefault(held, len(found)) for held in zip(*columns, strict=True)] or design.rows_in_all * [0]
    )


def unlike(design: Design) -> list[int]:
    """Points that cannot be stacked with the first one."""
    return np.flatnonzero(kinds(design)).tolist()


class Order:
    """The trials still to run, cut into packs one by one.

    As long as nothing is known about costs, the first packs are the corners of the ranges, from which costs are
    learned. The order is computed again each time the number of records has doubled. Trials of similar predicted cost
    share a pack, and the longest come first, so that no pack waits for one slow member and no worker for a late pack;
    but the first half of many points comes before the second, and its first half before that, as long as they are 256
    or more: they are smaller studies, which can be analysed while this one runs.
    A pack holds trials of one kind, which can be stacked.

    Only the numbers of trials are held, some bytes each; the trials themselves are made with their pack.

    Args:
        design: the study's design.
        missing: numbers of the trials to run.
        size: trials per pack.
    """

    def __init__(self, design: Design, missing: Indices, size: int) -> None:
        self.design, self.size = design, size
        self._scaled = design.scaled()
        self._points: list[int] = []
        self._seconds: list[float] = []
        self._learn_at = MIN_PILOT
        self.costs = CostModel(np.empty((0, design.dimension)), np.empty(0))
        self._left = np.asarray(missing, np.int64)
        if design.in_turn:
            self._left = self._left[np.argsort(design.places(self._left)[0], kind="stable")]
        self.sort()
        self._kinds = kinds(design)
        self._alike = not self._kinds.any()

    def learn(self, points: Iterable[int], seconds: Iterable[float]) -> None:
        """Learn from the costs (s) of trials of these points."""
        for point, cost in zip(points, seconds, strict=True):
            if np.isfinite(cost) and cost > 0 and len(self._points) < MOST_LEARNED:
                self._points.append(int(point))
                self._seconds.append(float(cost))
        if len(self._points) >= self._learn_at:
            self._learn_at = 2 * len(self._points)
            self.costs = CostModel(self._scaled[self._points], np.array(self._seconds))
            self.sort()

    def sort(self) -> None:
        """Sort the trials that are left by predicted cost, longest first, unless the design has an order of its own."""
        if self.design.in_turn:
            return
        number = self.design.places(self._left)[0] // self.design.block + 1
        part = np.ceil(np.log2(np.maximum(number, _FIRST_PART / self.design.block)))
        self._left = self._left[np.lexsort((-self.predicted(), part))]

    def learn_from(self, records: Iterable[TrialRecord]) -> None:
        """Learn from the costs of finished trials."""
        done = [record for record in records if record.status == "ok"]
        self.learn([record.point for record in done], [record.cpu_s for record in done])

    @property
    def left(self) -> int:
        """Number of trials still to be packed."""
        return len(self._left)

    def predicted(self) -> Array:
        """Predicted seconds of each trial that is left, in their order."""
        return self.costs.predict(self.left_scaled())

    def left_scaled(self) -> Array:
        """Factors of the trials that are left, scaled to 0..1: (trials left, D)."""
        left: Array = self._scaled[self.design.places(self._left)[0]]
        return left

    def sizes(self) -> Iterator[Indices]:
        """The packs that are left, each as the numbers of its trials."""
        while len(self._left):
            place = np.arange(min(self.size, self.left)) if self._alike else self.cut(first=True)[0]
            pack, self._left = self._left[place], np.delete(self._left, place)
            yield pack

    def cut(self, first: bool = False) -> list[Indices]:
        """The packs that would be made now, each as places among the trials that are left; or the first alone."""
        own = self._kinds[self.design.places(self._left)[0]]
        found = []
        for kind in own[:1] if first else np.unique(own):
            places = np.flatnonzero(own == kind)
            found += [places[at : at + self.size] for at in range(0, 1 if first else len(places), self.size)]
        return sorted(found, key=lambda pack: int(pack[0]))

    def packs(self) -> Iterator[list[Trial]]:
        """The packs, lazily: each is taken from the order as it is at that moment."""
        if not self.costs.rows and not self.design.in_turn:
            self._pilot_first()
        for numbers in self.sizes():
            yield list(self.design.trials(numbers))

    def _pilot_first(self) -> None:
        """Move the trials at the corners of the ranges to the front."""
        corners = corner_points(self.design)
        first = np.isin(self._left, corners)
        self._left = np.concatenate([self._left[first], self._left[~first]])

"""Which trials are packed next: corners of the ranges first, then the longest, like with like."""

from collections.abc import Iterable, Iterator

import numpy as np

from vcm_sweep.sweep.designs.design import Design, Indices
from vcm_sweep.sweep.packs.costs import Array, CostModel
from vcm_sweep.sweep.trial import Trial, TrialRecord

MIN_PILOT = 8
# Beyond these more records would not change the order.
MOST_LEARNED = 1 << 14


def corner_points(design: Design, count: int = MIN_PILOT) -> Indices:
    """Points that show how costs vary: nearest to all factors high and all low, then each factor high and low.

    Filled up with points spread over the design to ``count``, where there are as many.
    """
    scaled = design.scaled()
    middle = ((scaled - 0.5) ** 2).sum(1)
    chosen = [int(np.argmin(((scaled - end) ** 2).sum(1))) for end in (1.0, 0.0)]
    for factor in range(design.dimension):
        # On a grid many are at the end: then the one nearest to the middle otherwise.
        chosen += [int(np.lexsort((middle, sign * scaled[:, factor]))[0]) for sign in (-1, 1)]
    spread = np.linspace(0, len(scaled) - 1, min(count, len(scaled))).astype(int)
    rest = [int(point) for point in spread if point not in chosen]
    unique = list(dict.fromkeys(chosen))
    return np.array(unique + rest[: max(0, count - len(unique))], np.int64)


class Order:
    """The trials still to run, cut into packs as they are asked for.

    While nothing is known of costs, the first packs are the corners of the ranges: after them the order is known. It
    is made anew as records come in, more and more rarely. Trials of like predicted cost share a pack, longest first,
    so that no pack waits for one slow member and no worker for one late pack.

    Only numbers are held, some bytes per trial; trials are made with their pack.

    Args:
        design: of the study.
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

    def learn(self, points: Iterable[int], seconds: Iterable[float]) -> None:
        """Take in what trials of these points have cost (s)."""
        for point, cost in zip(points, seconds, strict=True):
            if np.isfinite(cost) and cost > 0 and len(self._points) < MOST_LEARNED:
                self._points.append(int(point))
                self._seconds.append(float(cost))
        if len(self._points) >= self._learn_at:
            self._learn_at = 2 * len(self._points)
            self.costs = CostModel(self._scaled[self._points], np.array(self._seconds))
            self.sort()

    def sort(self) -> None:
        """Longest first, by what is known."""
        self._left = self._left[np.argsort(-self.predicted(), kind="stable")]

    def learn_from(self, records: Iterable[TrialRecord]) -> None:
        """Take in what finished trials have cost."""
        done = [record for record in records if record.status == "ok"]
        self.learn([record.point for record in done], [record.cpu_s for record in done])

    @property
    def left(self) -> int:
        """Number of trials still to be packed."""
        return len(self._left)

    def predicted(self) -> Array:
        """Seconds of each trial that is left, in their order."""
        return self.costs.predict(self.left_scaled())

    def left_scaled(self) -> Array:
        """(trials left, D) their factors within 0..1."""
        left: Array = self._scaled[self.design.places(self._left)[0]]
        return left

    def sizes(self) -> Iterator[Indices]:
        """Numbers of the trials of each pack that is left, in their order."""
        while len(self._left):
            pack, self._left = self._left[: self.size], self._left[self.size :]
            yield pack

    def packs(self) -> Iterator[list[Trial]]:
        """The packs, lazily: each is made in the order known when it is asked for."""
        if not self.costs.rows:
            self._pilot_first()
        for numbers in self.sizes():
            yield list(self.design.trials(numbers))

    def _pilot_first(self) -> None:
        """First replicates of the corners to the front."""
        corners = corner_points(self.design)
        first = np.isin(self._left, corners)
        self._left = np.concatenate([self._left[first], self._left[~first]])

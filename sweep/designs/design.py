"""Designs: which points are run, and how often; which trial is which of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.seeds import trial_seed
from vcm_sweep.sweep.study.distributions import Levels
from vcm_sweep.sweep.trial import Trial

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.study import Study

Indices: TypeAlias = NDArray[np.int64]


class Design(ABC):
    """The points of a study in blocks of rows, and the trials that they make.

    A subclass gives ``method``, ``block`` and ``sample``. It must hold that a design with a larger n begins with
    this one exactly, so that what is finished is never done again when a study is extended.

    Trials are numbered from 0, first replicates first, in the order of the points. Only numbers are held: a
    :class:`Trial`, some kilobytes, is made when it is asked for, so a design of a million costs little.

    Attributes:
        method: name in the study file. unit: what its n counts, in the plural.
        study: whose design it is.
        groups: what is ranked, with its factors: G groups, or each of the D factors by itself.
        cube: (rows, D) float64, where the points lie in the unit cube, whose coordinates are the cumulative
            probabilities of the factors. points: (rows, D) float64, the factors' values there, in their units. Both are
            sampled when they are first asked for.
        block: rows that belong together; an analysis loses them all where one is missing.
        in_turn: whether points are trained in their order, all runs of one after the other; else the longest first.
    """

    method: str
    unit: str
    in_turn = False

    def __init__(self, study: "Study") -> None:
        self.study = study
        self.dimension = len(study.factors)
        self.groups = study.design.grouped([factor.name for factor in study.factors])
        # Workers run in another folder.
        self._start = str(Path(study.network.start).resolve()) if study.network.start else ""

    @property
    @abstractmethod
    def block(self) -> int:
        """Rows per block."""

    def check(self) -> None:
        """Raise StudyError for trials whose devices cannot be built, beyond what ``Study.check`` looks at."""
        return None

    @cached_property
    def cube(self) -> NDArray[np.float64]:
        """(rows, D) cumulative probabilities of the factors, as they were drawn."""
        return self.sample()

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(rows, D) factor values in their units."""
        return self.unscaled(self.cube)

    @property
    def rows_in_all(self) -> int:
        """Number of points."""
        return self.study.design.n * self.block

    @abstractmethod
    def sample(self) -> NDArray[np.float64]:
        """(rows, D) points of the unit cube."""

    def inputs_of(self, point: int, factors: dict[str, float]) -> dict[str, Any]:
        """The inputs of a point's trials."""
        return self.study.inputs(factors)

    def shares_seeds_by(self, point: int, inputs: dict[str, Any]) -> Any:
        """What the trials of a point share their seeds by: all that have it equal draw the same numbers."""
        return {"base": point // self.block} if self._common else inputs

    @cached_property
    def copies(self) -> Indices:
        """(rows,) how many earlier points that share their seeds with a point have its very values.

        They are 0 where factors vary continuously. Values of a list, and whole numbers, come again: where A and B have
        drawn the same one, a row of A with that column from B is A once more.
        """
        if not any(isinstance(factor.law, Levels) for factor in self.study.factors):
            return np.zeros(self.rows_in_all, np.int64)
        values = self.points
        if self.seeds_of_blocks:
            values = np.column_stack([values, np.arange(self.rows_in_all) // self.block])
        _, alike, counts = np.unique(values, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(alike.ravel(), kind="stable")
        copies = np.empty(self.rows_in_all, np.int64)
        copies[order] = np.arange(self.rows_in_all) - np.repeat(np.cumsum(counts) - counts, counts)
        return copies

    @property
    def seeds_of_blocks(self) -> bool:
        """Whether no two points of different blocks can share their seeds."""
        return self._common

    @property
    def _common(self) -> bool:
        """Whether the points of a block are to have the same seeds."""
        return self.study.design.seeds == "common"

    @cached_property
    def repeated(self) -> Indices:
        """Sorted points that are run once more than the others."""
        return np.flatnonzero(self.rank(np.arange(self.rows_in_all)) < self.study.design.replicate_rows)

    def rank(self, points: Indices) -> Indices:
        """The order in which points come to be repeated.

        It is spread over blocks and over the rows within a block, so that what is repeated samples all kinds of rows
        alike.
        """
        base, row = np.divmod(points, self.block)
        # The k-th repeated row of block b is row (b + k) mod (rows per block).
        return (row - base) % self.block * self.study.design.n + base

    @cached_property
    def counts(self) -> Indices:
        """(rows,) how often each point is run."""
        counts = np.full(self.rows_in_all, self.study.design.replicates)
        counts[self.repeated] += 1
        return counts

    @property
    def most(self) -> int:
        """The largest number of runs of a point."""
        return self.study.design.replicates + (1 if len(self.repeated) else 0)

    def replicates(self, point: int) -> int:
        """How often a point is run."""
        return int(self.counts[point])

    def __len__(self) -> int:
        """Number of trials."""
        return self.rows_in_all * self.study.design.replicates + len(self.repeated)

    def places(self, numbers: Indices) -> tuple[Indices, Indices]:
        """(points, replicates) of trials by their numbers."""
        replicates, points = np.divmod(numbers, self.rows_in_all)
        last = replicates == self.study.design.replicates
        points[last] = self.repeated[points[last]]
        return points, replicates

    def numbers(self, points: Indices, replicates: Indices) -> Indices:
        """Numbers of trials by their places; -1 for what the design does not hold."""
        rows, full = self.rows_in_all, self.study.design.replicates
        points, replicates = np.asarray(points, np.int64), np.asarray(replicates, np.int64)
        place = np.full(rows, -1)
        place[self.repeated] = full * rows + np.arange(len(self.repeated))
        inside = (points >= 0) & (points < rows) & (replicates >= 0)
        found = np.full(len(points), -1)
        whole = inside & (replicates < full)
        found[whole] = replicates[whole] * rows + points[whole]
        extra = inside & (replicates == full)
        found[extra] = place[points[extra]]
        return found

    def trial(self, point: int, replicate: int) -> Trial:
        """The trial of a point; a replicate beyond those of the design is one that an extended design would have."""
        study = self.study
        factors = {f.name: float(v) for f, v in zip(study.factors, self.points[point], strict=True)}
        inputs = self.inputs_of(point, factors)
        shared = self.shares_seeds_by(point, inputs)
        # A record belongs to one trial, so that the trials of points with the same values must differ: in their seeds,
        # or where those are to be the same ones in nothing but their keys.
        copy = int(self.copies[point])
        if copy and not self._common:
            shared = {"shared": shared, "copy": copy}
        seed = trial_seed(study.seed, replicate, shared)
        training = replicate % study.design.trainings
        array_seed = trial_seed(study.seed, replicate - training, shared) if training else None
        return Trial(
            point, replicate, factors, inputs, seed, study.run.deadline_s, self._start, array_seed=array_seed,
            copy=copy if self._common else 0,
        )  # fmt: skip

    def trials(self, numbers: Iterable[int] | None = None) -> Iterator[Trial]:
        """Trials by their numbers, made one by one; all of them by default."""
        chosen = np.arange(len(self)) if numbers is None else np.asarray(list(numbers), np.int64)
        for point, replicate in zip(*self.places(chosen), strict=True):
            yield self.trial(int(point), int(replicate))

    def scaled(self, points: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Cumulative probabilities of values of the factors, cut at their ends; of a level the middle of its own.

        Args:
            points: (..., D) factor values in their units; all of the design by default.
        """
        points = self.points if points is None else points
        return self._each("cdf", points)

    def unscaled(self, cube: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factor values in their units at cumulative probabilities: (..., D)."""
        return self._each("ppf", cube)

    def _each(self, function: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        laws = [factor.law for factor in self.study.factors]
        return np.stack([getattr(law, function)(values[..., j]) for j, law in enumerate(laws)], axis=-1)

    def salib_problem(self) -> dict[str, Any]:
        """The unit cube as SALib wants it."""
        names = [factor.name for factor in self.study.factors]
        of = {name: group for group, members in self.groups.items() for name in members}
        grouped = {"groups": [of[name] for name in names]} if self.study.design.groups else {}
        return grouped | {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}

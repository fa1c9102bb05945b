"""A study that is not finished, as far as it is: its first points, which are a smaller study by themselves."""

import shlex
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vcm_sweep.sweep.designs.build import build_design
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.results import Results

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IN_POWERS = ("space", "sobol")  # whose points fill the ranges evenly at powers of two
_ALWAYS_PARTLY = ("limits", "conditions")  # whose costs are of those pairs that are finished


def finished_part(results: Results) -> Results:
    """The largest smaller study that is finished, where points are missing; else, or if there is none, ``results``.

    A design begins with the smaller one, row by row, so its first points are a study of their own. Others that are
    finished are left out: which they are depends on how long trainings take, and so on the factors.
    """
    if results.study.design.method in _ALWAYS_PARTLY:
        return results
    n, block, _ = results.blocks().shape
    records = results.records(["point", "replicate"])
    ran = np.zeros(n * block, bool)
    ran[records["point"].to_numpy()[records["replicate"].to_numpy() == 0]] = True
    whole = ran.reshape(n, block).all(axis=1)
    count = n if whole.all() else int(np.argmin(whole))
    if count < n and results.study.design.method in _IN_POWERS:
        count = 1 << (count.bit_length() - 1) if count else 0
    return results if count in (0, n) else FinishedPart(results, count, block, int(ran.size - ran.sum()))


class FinishedPart(Results):
    """The first ``n`` of a study's points, or blocks, as the study of that n.

    ``provisional``: how many trainings of how many are finished, and what is shown of them.
    """

    def __init__(self, results: Results, n: int, block: int, left: int) -> None:
        """``left``: number of points that are not finished."""
        given = results.study.design
        rows, points = n * block, given.n * block
        self._whole = results
        self._rows = rows
        self.study = replace(results.study, design=replace(given, n=n, replicate_rows=min(given.replicate_rows, rows)))
        self.design = build_design(self.study)
        there, in_all = results.records(["point"]).num_rows, len(results.design)
        self.provisional = (
            f"Provisional: {there:,} of {in_all:,} trainings are finished. Analysed are the first {rows:,} of "
            f"{points:,} points, which are a study of their own; {left} of {points} points are not finished; vcm-sweep "
            f"resume {shlex.quote(str(results.folder))} goes on where it stopped."
        )
        self.over = f"Provisional, {there:,} of {in_all:,} trainings: over the stated ranges"

    @property
    def folder(self) -> Folder:
        """The results folder."""
        return self._whole.folder

    def table(self) -> pa.Table:
        """The records of these points."""
        return self._first(self._whole.table())

    def records(self, columns: list[str]) -> pa.Table:
        """Some columns of the records of these points."""
        return self._first(self._whole.records(list(dict.fromkeys(["point", *columns])))).select(columns)

    def points(self) -> "NDArray[np.float64]":
        """(rows, D) factor values of these points."""
        return self._whole.points()[: self._rows]

    def cube(self) -> "NDArray[np.float64]":
        """(rows, D) these points as cumulative probabilities of the factors."""
        return self._whole.cube()[: self._rows]

    def counts(self) -> Counter[str]:
        """Number of records by status in the whole study, and of trials still ``missing``."""
        return self._whole.counts()

    def blocks(self, metric: str = "accuracy") -> "NDArray[np.float64]":
        """(n, rows per block, replicates) values of a column of ok records of these points."""
        return self._whole.blocks(metric)[: self.study.design.n]

    def _first(self, records: pa.Table) -> pa.Table:
        return records.filter(pc.less(records["point"], self._rows))

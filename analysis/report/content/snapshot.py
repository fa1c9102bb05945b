"""`Snapshot`: the records as they were when the report began, read once for all sections."""

from collections import Counter
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.results import Results, laid_out

Array = NDArray[np.float64]


class Snapshot(Results):
    """Results that do not change, though a run may go on adding to them."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self.study, self.design = results.study, results.design
        self.provisional, self.over = results.provisional, results.over

    @cached_property
    def _table(self) -> pa.Table:
        return self._results.table()

    @cached_property
    def _points(self) -> Array:
        return np.asarray(self._results.points(), dtype=np.float64)

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self._results.blocks("accuracy").shape)

    @property
    def folder(self) -> Folder:
        """The results folder."""
        return self._results.folder

    def table(self) -> pa.Table:
        """All records, one per trial."""
        return self._table

    def records(self, columns: list[str]) -> pa.Table:
        """Some columns of all records."""
        return self._table.select(columns)

    def points(self) -> Array:
        """(rows, D) factor values."""
        return self._points

    def cube(self) -> Array:
        """(rows, D) the points as cumulative probabilities of the factors."""
        return self._results.cube()

    def counts(self) -> Counter[str]:
        """Number of records by status, and of trials still ``missing``."""
        return self._results.counts()

    def blocks(self, metric: str = "accuracy") -> Array:
        """(units, rows, replicates) values of a column of ok records; NaN where there is none."""
        return laid_out(self._table, metric, self._shape)

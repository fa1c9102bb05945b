"""The records as they were when the report began: read once, however many sections look at them."""

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vcm_sweep.analysis.source import ResultsSource, StudySource
from vcm_sweep.sweep.results import laid_out

Array = NDArray[np.float64]


class Snapshot:
    """Results that do not change, though a run may go on adding to them; a `ResultsSource`."""

    def __init__(self, results: ResultsSource) -> None:
        self._results = results
        self.study: StudySource = results.study

    @cached_property
    def _table(self) -> pa.Table:
        return self._results.table()

    @cached_property
    def _points(self) -> Array:
        return np.asarray(self._results.points(), dtype=np.float64)

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return np.asarray(self._results.blocks("accuracy")).shape

    @property
    def folder(self) -> Any:
        """Where the records lie; None for records that lie nowhere."""
        return getattr(self._results, "folder", None)

    @property
    def design(self) -> Any:
        """Which point is which row; None for records without."""
        return getattr(self._results, "design", None)

    def table(self) -> pa.Table:
        """All records, one per trial."""
        return self._table

    def points(self) -> Array:
        """(rows, D) factor values."""
        return self._points

    def blocks(self, metric: str) -> Array:
        """(units, rows, replicates) values of a column of ok records; NaN where there is none."""
        return laid_out(self._table, metric, self._shape)

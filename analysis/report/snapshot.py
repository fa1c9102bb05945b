"""The records as they were when the report began: read once, however many sections look at them."""

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vcm_sweep.analysis.source import ResultsSource, StudySource

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
        table = self._table.select(["point", "replicate", "status", metric])
        table = table.filter(pc.equal(table["status"], pa.scalar("ok")))
        values = np.full((self._shape[0] * self._shape[1], self._shape[2]), np.nan)
        place = (table["point"].to_numpy(), table["replicate"].to_numpy())
        values[place] = table[metric].to_numpy(zero_copy_only=False).astype(float)
        return values.reshape(self._shape)

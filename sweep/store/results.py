"""Reading of a results folder."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vcm_sweep.sweep.designs.build import build_design
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store import Store
from vcm_sweep.sweep.study.study import Study


class Results:
    """The records of a study, laid out by its design.

    Attributes:
        study, design: whose they are. provisional: what is shown of a study that is not finished, in a sentence; ""
            where everything is shown. over: how an answer from a part begins; "" likewise.
    """

    provisional = ""
    over = ""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.study: Study = store.study
        self.design = build_design(self.study)

    @property
    def folder(self) -> Folder:
        """The results folder."""
        return self._store.folder

    def table(self) -> pa.Table:
        """All records, one per trial, ordered by replicate and point."""
        return self._store.table().sort_by([("replicate", "ascending"), ("point", "ascending")])

    def records(self, columns: list[str]) -> pa.Table:
        """Some columns of all records, in no order."""
        return self._store.table(columns)

    def points(self) -> np.ndarray:
        """(rows, D) factor values in their units."""
        return self.design.points

    def cube(self) -> np.ndarray:
        """(rows, D) the points as cumulative probabilities of the factors."""
        return self.design.cube

    def counts(self) -> Counter[str]:
        """Number of records by status, and of trials still ``missing``."""
        counts = Counter(self._store.counts())
        missing = len(self.design) - sum(counts.values())
        if missing > 0:
            counts["missing"] = missing
        return counts

    def blocks(self, metric: str = "accuracy") -> np.ndarray:
        """(n, rows per block, replicates) values of a column of ok records; NaN where there is none.

        StoreError where the records have no such column, or are of a search.
        """
        table = self._store.table(["point", "replicate", "status", metric])
        refuse_searched(table["point"], self.folder)
        return laid_out(table, metric, (self.study.design.n, self.design.block, self.design.most))


def laid_out(records: pa.Table, column: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a column of ok records where the design has them, NaN elsewhere; shape: (blocks, rows, replicates)."""
    ok = records.filter(pc.equal(records["status"], pa.scalar("ok")))
    values = np.full((shape[0] * shape[1], shape[2]), np.nan)
    values[ok["point"].to_numpy(), ok["replicate"].to_numpy()] = ok[column].to_numpy(zero_copy_only=False).astype(float)
    return values.reshape(shape)


def refuse_searched(points: pa.ChunkedArray, folder: Folder) -> None:
    """StoreError where points were chosen by a search (their numbers are negative): they are no part of a design."""
    first = pc.min(points).as_py()
    if first is not None and first < 0:
        raise StoreError(
            f"{folder} holds trainings of a search, which are no design to analyse or to go on with: give the "
            "results folder that it lies in, or vcm-sweep tolerance with the study file to search on"
        )


def open_results(directory: str | Path | Folder) -> Results:
    """The results in a folder that ``run`` has made, by path or URI; they may still be growing."""
    return Results(Store.open(directory))

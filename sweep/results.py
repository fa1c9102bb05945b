"""Reading of a results folder."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from .design import SobolDesign
from .errors import StoreError
from .store import Store
from .study import Study


class Results:
    """The records of a study, laid out by its design."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.study: Study = store.study
        self.design = SobolDesign(self.study)

    @property
    def directory(self) -> Path:
        """The results folder."""
        return self._store.directory

    def table(self) -> pa.Table:
        """All records, one per trial, ordered by replicate and point."""
        return self._store.table().sort_by([("replicate", "ascending"), ("point", "ascending")])

    def points(self) -> np.ndarray:
        """(base (D + 2), D) factor values in their units."""
        return self.design.points

    def counts(self) -> Counter[str]:
        """Number of records by status, and of trials still ``missing``."""
        counts = Counter(self._store.table()["status"].to_pylist())
        missing = len(self.design) - sum(counts.values())
        if missing > 0:
            counts["missing"] = missing
        return counts

    def blocks(self, metric: str = "accuracy") -> np.ndarray:
        """(base, D + 2, replicates) values of a column of ok records; NaN where there is none."""
        table = self._store.table()
        if metric not in table.column_names:
            raise StoreError(f"metric {metric!r} is no column of the records")
        spec = self.study.design
        replicates = spec.replicates + (1 if spec.replicate_rows else 0)
        values = np.full((len(self.design.points), replicates), np.nan)
        ok = np.array(table["status"].to_pylist(), dtype=object) == "ok"
        point, replicate = table["point"].to_numpy(), table["replicate"].to_numpy()
        values[point[ok], replicate[ok]] = table[metric].to_numpy()[ok].astype(float)
        return values.reshape(spec.n, self.design.block, replicates)


def open_results(directory: str | Path) -> Results:
    """The results in a folder that ``run`` has made; they may still be growing."""
    return Results(Store.open(Path(directory)))

"""Taking over records from other results folders: trials with equal keys have equal results."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.designs.design import Design, Indices
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store import LeftBehind, Store, holds_study
from vcm_sweep.sweep.store.difference import difference
from vcm_sweep.sweep.trial import Trial

RESULTS = ("ok", "diverged")
"""Statuses of trials that need no further run, since the same work would give the same result."""

_log = logging.getLogger("vcm_sweep")


def missing(store: Store, design: Design, again: Iterable[str] = ()) -> Indices:
    """Sorted numbers of the trials without a record, and of those whose record has a status in ``again``."""
    table = store.table(["point", "replicate", "status"])
    table = table.filter(pc.invert(pc.is_in(table["status"], pa.array(list(again), pa.string()))))
    held = design.numbers(table["point"].to_numpy(), table["replicate"].to_numpy())
    left = np.ones(len(design), bool)
    left[held[held >= 0]] = False
    return np.flatnonzero(left)


def siblings(folder: Folder, name: str) -> list[Folder]:
    """The other results folders, beside a local one, of studies with this name."""
    if folder.local is None:
        return []
    beside = Folder(folder.local.absolute().parent)
    own = folder.local.name
    names = [other for other in beside.folders() if other.startswith(f"{name}-") and other != own]
    return [beside / other for other in names if holds_study(beside / other)]


def take_over_equal(
    store: Store, design: Design, sources: Iterable[str | Path | Folder | Store | LeftBehind], lenient: bool = False
) -> dict[str, int]:
    """Take over records from other folders; the number taken from each source that had some.

    Only trainings with a result are taken, and only those whose key the design has and the store lacks.

    Args:
        store: the store, open for writing.
        design: the design of its study.
        sources: results folders, or files with records that a run could not write into its folder.
        lenient: nobody asked for these sources: skip those that cannot be read, with a warning, and say nothing of
            those that hold nothing of use.
    """
    taken: dict[str, int] = {}
    trials = None
    for source in sources:
        where = str(source.folder if isinstance(source, Store) else source)
        trials = trials or _TrialsByKey(design, missing(store, design))
        try:
            count = store.take_over(source, trials, RESULTS)
        except VcmSweepError as error:
            if not lenient:
                raise
            _log.warning("nothing was taken over from %s (%s)", where, error)
            continue
        if count:
            taken[where] = count
            _log.info(
                "%d finished trials taken over from %s", count, where,
                extra={"event": "reused", "source": where, "count": count},
            )  # fmt: skip
        elif not lenient:
            why = f" ({difference(source.study, store.study)})" if isinstance(source, Store) else ""
            _log.warning("nothing was taken over from %s: it holds no training that is missing here%s", where, why)
    return taken


class _TrialsByKey(Mapping[str, Trial]):
    """The trials that a store lacks, by key; only numbers are held, and a trial is made when it is looked up."""

    def __init__(self, design: Design, numbers: Indices) -> None:
        self._design = design
        keys = (trial.key for trial in design.trials(numbers))
        self._numbers = dict(zip(keys, numbers.tolist(), strict=True))

    def __getitem__(self, key: str) -> Trial:
        return next(self._design.trials([self._numbers[key]]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

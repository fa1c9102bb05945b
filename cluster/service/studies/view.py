"""What is to be seen of one study: how far it is, what failed, its log, its curves, its files."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vcm_sweep.cluster.service.problems import NotFoundError
from vcm_sweep.cluster.service.studies.catalogue import LARGEST_STUDY, Catalogue, StudyCard
from vcm_sweep.cluster.service.studies.runs import Runs
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder, in_words
from vcm_sweep.sweep.session.log import last_lines
from vcm_sweep.sweep.session.state import SessionState
from vcm_sweep.sweep.store.frozen import STUDY
from vcm_sweep.sweep.store.manifest import PARTS
from vcm_sweep.sweep.store.results import Results, open_results

_MOST_HELD = 8
_MOST_CURVES = 2000
# Of no use to whoever reads results.
_HIDDEN = ("lock", "checkpoints", "lease.json")


@dataclass(frozen=True)
class StudyFile:
    """A file of a results folder: its path from there, and bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class StudyView:
    """One study.

    Attributes:
        card: as in the list. text: of its study file.
        method: of the design.
        trainings: of the design. counts: of its records by status, and "missing"; empty where ``trouble`` says why.
        factors: what varies, or for conditions, nothing. conditions: their names.
        session: the latest run: figures, rate, failures by cause, use of the nodes.
        printed: the last lines of a run on the service's machine.
    """

    card: StudyCard
    text: str = ""
    method: str = ""
    trainings: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    trouble: str = ""
    factors: list[dict[str, Any]] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    session: SessionState | None = None
    printed: str = ""


@dataclass(frozen=True)
class Curves:
    """Accuracy after each epoch over the trainings so far: the middle one, and between which half of them lie."""

    epochs: list[int]
    median: list[float]
    low: list[float]
    high: list[float]
    trainings: int


class Views:
    """Reads single studies; what was read is kept until the folder changes.

    Args:
        catalogue: of the service. runs: those of its machine.
    """

    def __init__(self, catalogue: Catalogue, runs: Runs) -> None:
        self._catalogue, self._runs = catalogue, runs
        self._mutex = threading.Lock()
        self._open: OrderedDict[str, tuple[object, Results]] = OrderedDict()
        self._counts: OrderedDict[str, tuple[object, dict[str, int]]] = OrderedDict()

    def study(self, study: str) -> StudyView:
        """One study; NotFoundError where there is none. What is wrong with its folder stands in ``trouble``."""
        card = self._catalogue.card(study)
        folder = self._catalogue.folder(study)
        session, printed = self._catalogue.session(study), self._runs.printed(study)
        text = ""
        try:
            text = folder.read(STUDY, LARGEST_STUDY).decode("utf-8", "replace")
            results = self.results(study)
            known = results.study
            return StudyView(
                card,
                known.text,
                known.design.method,
                len(results.design),
                self.counts(study),
                factors=[factor.plain() for factor in known.factors],
                conditions=[condition.name for condition in known.conditions],
                session=session,
                printed=printed,
            )
        except (VcmSweepError, OSError) as error:
            return StudyView(card, text, trouble=_words(error), session=session, printed=printed)

    def results(self, study: str) -> Results:
        """The results of a study, with its design; errors as ``open_results``, and NotFoundError."""
        folder = self._catalogue.folder(study)
        stamp = tuple(folder.touched(name) for name in ("study.toml", "frozen.json", "lineage.json"))
        with self._mutex:
            held = self._open.get(study)
        if held is not None and held[0] == stamp:
            return held[1]
        results = open_results(folder)
        with self._mutex:
            _keep(self._open, study, (stamp, results))
        return results

    def stamp(self, study: str) -> object:
        """What changes with the records of a study."""
        folder = self._catalogue.folder(study)
        return folder.touched("study.toml"), folder.touched("manifest.json"), tuple(folder.sizes(PARTS).items())

    def counts(self, study: str) -> dict[str, int]:
        """Number of records by status, and of trainings still "missing"; StoreError where they cannot be read."""
        stamp = self.stamp(study)
        with self._mutex:
            held = self._counts.get(study)
        if held is not None and held[0] == stamp:
            return held[1]
        counts = dict(self.results(study).counts())
        with self._mutex:
            _keep(self._counts, study, (stamp, counts))
        return counts

    def records(self, study: str) -> bytes:
        """All records so far, one per training, as a Parquet file."""
        written = pa.BufferOutputStream()
        pq.write_table(self.results(study).table(), written)
        return bytes(written.getvalue())

    def log(self, study: str, lines: int = 100) -> list[dict[str, Any]]:
        """The last lines of the log of a study's latest run."""
        session = self._catalogue.session(study)
        try:
            return last_lines(self._catalogue.folder(study), session.id if session else None, lines)
        except (OSError, StoreError) as error:
            return [{"level": "error", "event": "unread", "message": f"logs cannot be read: {_words(error)}"}]

    def curves(self, study: str) -> Curves:
        """How the trainings went; of many, those that are spread evenly over the records."""
        table = self.results(study).records(["history", "status"])
        histories = table.filter(pc.equal(table["status"], "ok"))["history"].drop_null()
        step = max(1, len(histories) // _MOST_CURVES)
        rows = histories.take(np.arange(0, len(histories), step)).to_pylist()
        longest = max(map(len, rows), default=0)
        values = np.full((len(rows), longest), np.nan)
        for row, history in zip(values, rows, strict=True):
            row[: len(history)] = history
        if not longest:
            return Curves([], [], [], [], 0)
        low, median, high = np.nanquantile(values, (0.25, 0.5, 0.75), axis=0)
        epochs = list(range(1, longest + 1))
        return Curves(epochs, median.tolist(), low.tolist(), high.tolist(), len(histories))

    def files(self, study: str) -> list[StudyFile]:
        """What can be downloaded: the files of its folder, without those that are being written."""
        return list(_files(self._catalogue.folder(study)))

    def file(self, study: str, path: str) -> BinaryIO:
        """One of the files of :meth:`files`, open; NotFoundError for what is none of them."""
        folder = self._catalogue.folder(study)
        if any(own.path == path for own in _files(folder)):
            # Opened from its folder on, with no link on the way, should one have been put there since.
            with suppress(FileNotFoundError, NotADirectoryError, StoreError):
                return folder.stream(path)
        raise NotFoundError(f"{study} has no file {path[:200]!r}: its list of files has all")


def _files(folder: Folder) -> Iterator[StudyFile]:
    """The files in a folder, those of deeper folders last, without those that are of no use to others."""
    for path, entry in folder.tree():
        names = path.split("/")
        hidden = any(name.startswith(".") for name in names) or names[0] in _HIDDEN
        if not hidden and entry.is_file(follow_symlinks=False):
            yield StudyFile(path, entry.stat().st_size)


def _words(error: VcmSweepError | OSError) -> str:
    return in_words(error) if isinstance(error, OSError) else str(error)


def _keep(held: "OrderedDict[str, Any]", study: str, value: object) -> None:
    """Keep a value, and no more than a few."""
    held[study] = value
    held.move_to_end(study)
    while len(held) > _MOST_HELD:
        held.popitem(last=False)

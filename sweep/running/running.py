"""Running a study: trials that the store lacks go to the executor, and their records into the store."""

import shlex
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from vcm_sweep.sweep.designs.build import checked_design
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.packs.executor import Executor
from vcm_sweep.sweep.packs.order import MOST_LEARNED, Order
from vcm_sweep.sweep.running.reuse import RESULTS, missing, siblings, take_over_equal
from vcm_sweep.sweep.store import Store, holds_study, open_source
from vcm_sweep.sweep.store.results import Results, refuse_searched
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.training.checkpoint import discard_checkpoints, tidy_checkpoints
from vcm_sweep.sweep.trial import MODEL_VERSION, STATUSES, TrialRecord

OnRecords: TypeAlias = Callable[[int, int, list[TrialRecord]], None]
"""Called with the number of trials done, the number of all trials, and the records that just came in."""

PACK = 16
"""The number of trials per pack if neither the study nor the caller gives one."""

FAILURES = tuple(status for status in STATUSES if status != "ok")
"""Statuses of trials that ``retry = True`` runs again."""


def checkpoint_folder(directory: str | Path | Folder) -> str:
    """The folder for states of unfinished trials in a results folder: an absolute path, or a URI."""
    folder = Folder(directory) / "checkpoints"
    return str(folder.local.absolute()) if folder.local is not None else str(folder)


def default_directory(study: Study, root: Path = Path("runs")) -> Path:
    """``runs/<name>-<8 hex of the frozen study>``."""
    return root / study.folder_name


def run(
    study: Study | str | Path,
    executor: Executor,
    directory: str | Path | Folder | None = None,
    progress: OnRecords | None = None,
    retry: Collection[str] | bool = False,
    pack: int | None = None,
    reuse: Sequence[str | Path | Folder] = (),
    grace_s: float = 5.0,
) -> Results:
    """The results of a study, after running every trial that the folder does not hold yet.

    Records survive a crash within a second after ``progress`` was called with them. On a KeyboardInterrupt, packs that
    end within ``grace_s`` are still recorded, the others save their state, and the interrupt is raised. The same call
    made again continues the run.

    Args:
        study: the study to run.
        executor: runs the packs.
        directory: path or URI of the results folder, which is made if it is missing. By default a folder of the study
            under ``runs``; if that is new, it first takes over equal records from folders of studies with the same
            name there, such as earlier versions of the study.
        progress: called with the records that come in.
        retry: statuses of failed trials to run once more; True: all failures.
        pack: trials per pack; by default the study's own number, or 16 if it has none.
        reuse: other results folders from which equal records are taken over first.
        grace_s: seconds that running packs get to end after an interrupt.

    Raises:
        StudyError: the study cannot be trained.
        StoreError: the folder holds another study, or cannot be used.
        ExecutorError: the executor cannot run anything.
    """
    study = Study.of(study)
    design = checked_design(study)
    folder = Folder(default_directory(study) if directory is None else directory)
    check_model(folder, study)
    # Opened before the folder is made, so that an error in them leaves nothing behind.
    sources = [open_source(source) for source in reuse]
    fresh = not holds_study(folder)
    if not fresh:
        _refuse_shorter(study, folder)
        held = Store.open(folder)
        refuse_searched(held.table(["point"])["point"], folder)
    with Store.create(study, folder) as store:
        if progress:
            # Called before records are taken over, so that a listener is ready for the messages about those.
            progress(len(design) - len(missing(store, design)), len(design), [])
        if directory is None and fresh:
            take_over_equal(store, design, siblings(folder, study.name), lenient=True)
        take_over_equal(store, design, sources)
        left = missing(store, design, FAILURES if retry is True else retry or ())
        order = Order(design, left, pack or study.run.pack or PACK)
        order.learn(*known_costs(store))
        _Run(store, executor, order, progress, len(design)).until_done(grace_s)
        return Results(store)


def check_model(folder: Folder, study: Study) -> None:
    """Raise StoreError if another version of the model made the folder, since new results would not fit the old."""
    made_by = study.frozen["model_version"]
    if made_by > MODEL_VERSION:
        raise StoreError(
            f"{folder} was made by model version {made_by}, and this is {MODEL_VERSION}: update vcm-sweep to go on"
        )
    if made_by < MODEL_VERSION:
        raise StoreError(
            f"{folder} was made by model version {made_by}, and this is {MODEL_VERSION}: its results stay readable, "
            "further ones would not fit them; run the study file, which makes a new folder"
        )


def _refuse_shorter(study: Study, folder: Folder) -> None:
    """Raise StoreError if the folder holds an extended, longer version of this study."""
    held = Store.open(folder)
    if study.digest != held.study.digest and study.digest in held.digests:
        raise StoreError(
            f"{folder} holds this study with more points or replicates since it was extended: go on with vcm-sweep "
            f"resume {shlex.quote(str(folder))}"
        )


def known_costs(store: Store) -> tuple[list[int], list[float]]:
    """(points, CPU seconds) of finished trials, at most as many as costs are learned from."""
    table = store.table(["point", "status", "cpu_s"])
    table = table.filter(pc.equal(table["status"], pa.scalar("ok"))).drop_null().slice(0, MOST_LEARNED)
    return table["point"].to_pylist(), table["cpu_s"].to_pylist()


class _Run:
    """One call of ``run``: records on their way from the executor into the store."""

    def __init__(self, store: Store, executor: Executor, order: Order, progress: OnRecords | None, total: int) -> None:
        self.store, self.executor, self.order, self.progress = store, executor, order, progress
        self.total, self.finished = total, total - order.left
        self.checkpoints = Folder(checkpoint_folder(store.folder))
        self._arrived: list[TrialRecord] = []

    def until_done(self, grace_s: float) -> None:
        """Run all trials that are left; on an interrupt give running packs ``grace_s`` seconds."""
        self._tidy(("ok",))
        self.store.on_durable = self._discard
        self._tell([])
        records_of_packs = self.executor.run(self.order.packs())
        try:
            for records in records_of_packs:
                self._take(records)
            self.store.flush()
        except KeyboardInterrupt:
            self.store.hasten()
            try:
                for records in self.executor.finish(grace_s):
                    self._take(records)
            finally:
                self._take([])
                self.store.flush()
            raise
        finally:
            close = getattr(records_of_packs, "close", None)
            if close:
                close()
        self._tidy(RESULTS)

    def _take(self, records: list[TrialRecord]) -> None:
        # An interrupt may come between these lines. The records then stay in ``_arrived`` and are appended later, at
        # worst twice, which does no harm: of equal keys one record counts.
        self._arrived += records
        self.store.append(self._arrived)
        self._arrived = []
        self.finished += len(records)
        self.order.learn_from(records)
        self._tell(records)

    def _tell(self, records: list[TrialRecord]) -> None:
        if self.progress:
            self.progress(self.finished, self.total, records)

    def _discard(self, records: Sequence[TrialRecord]) -> None:
        """Remove the saved states of trials whose results are durable now."""
        done = {record.key for record in records if record.status in RESULTS}
        discard_checkpoints(str(self.checkpoints), done & self._saved())

    def _tidy(self, statuses: Collection[str]) -> None:
        """Remove what a killed driver left behind: states of trials that have a record with one of these statuses, and
        half-written files."""
        if saved := self._saved():
            discard_checkpoints(str(self.checkpoints), saved & self.store.keys(statuses))
        tidy_checkpoints(str(self.checkpoints))

    def _saved(self) -> set[str]:
        """Keys of the trials that have a saved state; none if the folder cannot be read, which must not end a run."""
        with suppress(OSError):
            return {name.partition(".")[0] for name in self.checkpoints.names()}
        return set()

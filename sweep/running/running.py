"""Running a study: what is not in the store yet goes to the executor, and its records into the store."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

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

type OnRecords = Callable[[int, int, list[TrialRecord]], None]
"""Called with the trials done, the trials in all, and the records that just came in."""

PACK = 16
"""Trials trained together where neither the study nor the caller says."""

FAILURES = tuple(status for status in STATUSES if status != "ok")
"""What ``retry`` runs again."""


def checkpoint_folder(directory: str | Path | Folder) -> str:
    """Where the states of unfinished trials of a results folder are: an absolute path, or a URI."""
    folder = Folder(directory) / "checkpoints"
    return str(folder.local.absolute()) if folder.local is not None else str(folder)


def default_directory(study: Study, root: Path = Path("runs")) -> Path:
    """``runs/<name>-<8 hex of the frozen study>``."""
    return root / f"{study.name}-{study.digest[:8]}"


def run(
    study: Study,
    executor: Executor,
    directory: str | Path | Folder | None = None,
    progress: OnRecords | None = None,
    retry: Collection[str] | bool = False,
    pack: int | None = None,
    reuse: Sequence[str | Path | Folder] = (),
    grace_s: float = 5.0,
) -> Results:
    """The results of a study, after running every trial that the folder does not hold yet.

    Records are durable within a second of ``progress`` hearing of them. After an interruption the same call goes on:
    what ends within ``grace_s`` of a KeyboardInterrupt is kept, the rest saves its state, and the interrupt is raised.

    Args:
        study: what to run.
        executor: where.
        directory: path or URI of the results folder, made if it is not there. By default the study's own under
            ``runs``; a new one begins with what its siblings there, earlier versions of the study, hold of it.
        progress: is told what comes in.
        retry: statuses of failed trials to run once more; True: all failures.
        pack: trials trained together, by default the study's own number, or 16 where it leaves that open.
        reuse: other results folders whose equal records are taken over first.
        grace_s: for what is about to end when the run is interrupted.

    Raises:
        StudyError: the study cannot be trained. StoreError: the folder holds another study, or cannot be used.
        ExecutorError: nothing can be run there.
    """
    design = checked_design(study)
    folder = Folder(default_directory(study) if directory is None else directory)
    check_model(folder, study)
    # All that is named is looked at before a folder is made.
    sources = [open_source(source) for source in reuse]
    fresh = not holds_study(folder)
    if not fresh:
        _refuse_shorter(study, folder)
        held = Store.open(folder)
        refuse_searched(held.table(["point"])["point"], folder)
    with Store.create(study, folder) as store:
        if progress:
            # Whoever listens hears of what is taken over, too.
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
    """StoreError where another version of the model made the study's folder: further results would not fit."""
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
    """StoreError for the study that a folder held before it was extended."""
    held = Store.open(folder)
    if study.digest != held.study.digest and study.digest in held.digests:
        raise StoreError(
            f"{folder} holds this study with more points or replicates since it was extended: go on with vcm-sweep "
            f"resume {folder}"
        )


def known_costs(store: Store) -> tuple[list[int], list[float]]:
    """(points, CPU seconds) of finished trials, as many as tell something."""
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
        """Run what is left."""
        self._tidy(("ok",))
        self.store.on_durable = self._discard
        self._tell([])
        records_of_packs = self.executor.run(self.order.packs())
        try:
            for records in records_of_packs:
                self._take(records)
            self.store.flush()
        except KeyboardInterrupt:
            self._take([])
            for records in self.executor.finish(grace_s):
                self._take(records)
            self.store.flush()
            raise
        finally:
            close = getattr(records_of_packs, "close", None)
            if close:
                close()
        self._tidy(RESULTS)

    def _take(self, records: list[TrialRecord]) -> None:
        # An interrupt may come between the lines: what has arrived is appended then, at worst twice under its key.
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
        """Remove the states of trials whose result is durable; one look at the folder tells which have one."""
        done = {record.key for record in records if record.status in RESULTS}
        discard_checkpoints(str(self.checkpoints), done & self._saved())

    def _tidy(self, statuses: Collection[str]) -> None:
        """Remove what a driver that was killed left: states of trials with such a record, and half files."""
        if saved := self._saved():
            discard_checkpoints(str(self.checkpoints), saved & self.store.keys(statuses))
        tidy_checkpoints(str(self.checkpoints))

    def _saved(self) -> set[str]:
        """Keys of the trials that have a state; none where the system does not say, which must not end a run."""
        with suppress(OSError):
            return {name.partition(".")[0] for name in self.checkpoints.names()}
        return set()

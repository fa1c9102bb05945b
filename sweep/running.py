"""Running a study: what is not in the store yet goes to the executor, and its records into the store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from .checkpoint import discard_checkpoints, tidy_checkpoints
from .design import SobolDesign
from .executor import Executor
from .results import Results
from .store import Store, holds_study
from .study import Study
from .trial import Trial, TrialRecord

type Progress = Callable[[int, int, list[TrialRecord]], None]
"""Called with the trials done, the trials in all, and the records that just came in."""


_PACK = 16
# Trials with these have nothing left to go on with.
_RESULTS = ("ok", "diverged")


def checkpoint_folder(directory: Path) -> Path:
    """Where the states of unfinished trials of a results folder are."""
    return directory / "checkpoints"


@dataclass(frozen=True)
class Plan:
    """The size of a study."""

    points: int
    trials: int
    done: int
    packs: int


def default_directory(study: Study, root: Path = Path("runs")) -> Path:
    """``runs/<name>-<8 hex of the frozen study>``."""
    return root / f"{study.name}-{study.digest[:8]}"


def run(
    study: Study,
    executor: Executor,
    directory: Path | None = None,
    progress: Progress | None = None,
    retry: bool = False,
    pack: int | None = None,
) -> Results:
    """The results of a study, after running every trial that the folder does not hold yet.

    Records are durable as soon as ``progress`` hears of them; after an interruption the same call goes on.
    Trials that failed are run again only with ``retry``. ``pack`` is the number of trials trained together, by
    default the study's own, or 16 where it leaves that open.
    """
    directory = directory or default_directory(study)
    with Store.create(study, directory) as store:
        table = store.table()
        keep = table.filter(pc.field("status") == "ok") if retry else table
        done = set(keep["key"].to_pylist())
        design = SobolDesign(study)
        total, finished = len(design), len(done)
        if progress:
            progress(finished, total, [])
        checkpoints = checkpoint_folder(directory)
        tidy_checkpoints(checkpoints)
        records_of_packs = executor.run(_packs(design, done, pack or study.run.pack or _PACK))
        try:
            for records in records_of_packs:
                store.append(records)
                discard_checkpoints(checkpoints, (record.key for record in records if record.status in _RESULTS))
                finished += len(records)
                if progress:
                    progress(finished, total, records)
        finally:
            close = getattr(records_of_packs, "close", None)
            if close:
                close()
        tidy_checkpoints(checkpoints)
        return Results(store)


def plan(study: Study, directory: Path | None = None, pack: int | None = None) -> Plan:
    """How large the study is, and how much of it is done in the folder; ``pack`` as for :func:`run`."""
    directory = directory or default_directory(study)
    done: set[str] = set()
    if holds_study(directory):
        done = set(Store.create(study, directory).table()["key"].to_pylist())
    design = SobolDesign(study)
    packs = sum(1 for _ in _packs(design, done, pack or study.run.pack or _PACK))
    return Plan(len(design.points), len(design), len(done), packs)


def _packs(design: SobolDesign, done: set[str], size: int) -> Iterator[list[Trial]]:
    """Missing trials in packs, the same whatever is already done within a pack's worth."""
    pack: list[Trial] = []
    for trial in design.trials():
        if trial.key in done:
            continue
        pack.append(trial)
        if len(pack) == size:
            yield pack
            pack = []
    if pack:
        yield pack

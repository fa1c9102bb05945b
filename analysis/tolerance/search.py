"""``find_tolerances``: one question of a study, asked, answered, confirmed and kept."""

from collections.abc import Callable
from pathlib import Path

from vcm_sweep.analysis.tolerance.answer import FOLDER, ToleranceAnswer, write_answer
from vcm_sweep.analysis.tolerance.context import Context
from vcm_sweep.analysis.tolerance.evaluation import Evaluator
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.packs.executor import Executor
from vcm_sweep.sweep.running.limits_study import same_but_design
from vcm_sweep.sweep.running.running import PACK, OnRecords, check_model, default_directory
from vcm_sweep.sweep.store import Store, holds_study
from vcm_sweep.sweep.store.difference import difference
from vcm_sweep.sweep.store.results import Results
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.study.tables.tolerance import ToleranceSpec


def find_tolerances(
    study: Study,
    executor: Executor,
    directory: str | Path | Folder | None = None,
    *,
    spec: ToleranceSpec | None = None,
    pack: int | None = None,
    batch: int = 0,
    progress: OnRecords | None = None,
    checkpoints: str | None = None,
) -> ToleranceAnswer:
    """The answer to the question of a study's [tolerance] table, confirmed with fresh seeds.

    All trainings and Optuna's file are in the folder ``tolerance`` of the results folder. The same call continues where
    it was stopped, and uses the study's own results. If these are in an object store, Optuna's file is in the local
    folder ``tolerance/<name>``.

    Args:
        study: what is trained, and the ranges in which tolerances are searched.
        executor: runs the trainings.
        directory: results folder of the study, made if it is not there; by default the one that ``run`` takes.
        spec: the question; by default that of the study's [tolerance] table, or of an empty one.
        pack: number of trainings side by side. batch: trainings per round, at least a pack.
        progress: is called with what comes in.
        checkpoints: folder in which the executor keeps checkpoints; without one no training is cut short.

    Raises:
        AnalysisError: the question has no answer. StoreError: the folder holds another study. StudyError: the study
            cannot be trained.
    """
    study.check()
    spec = spec or study.tolerance or ToleranceSpec.from_table({}, tuple(factor.name for factor in study.factors))
    folder = Folder(default_directory(study) if directory is None else directory)
    own = _own_results(study, folder)
    pack = pack or study.run.pack or PACK
    with _store_of(study, folder / FOLDER) as store:
        evaluator = Evaluator(
            study, store, executor, pack=pack, known=[own], progress=progress,
            total=spec.trials + spec.confirm * len(study.factors), checkpoints=checkpoints,
        )  # fmt: skip
        context = Context(study, spec, evaluator, optuna_place(study, folder), Results(own), max(batch, pack))
        answer = _QUESTIONS[spec.question](context)
        write_answer(folder / FOLDER, answer)
        return answer


def optuna_place(study: Study, folder: Folder) -> Path:
    """The local folder of Optuna's file; SQLite needs a disk, so it cannot be in an object store."""
    place = folder / FOLDER
    return place.local if place.local is not None else Path(FOLDER) / study.folder_name


def _one(context: Context) -> ToleranceAnswer:
    from vcm_sweep.analysis.tolerance.one import answer_one

    return answer_one(context)


def _joint(context: Context) -> ToleranceAnswer:
    from vcm_sweep.analysis.tolerance.joint import answer_joint

    return answer_joint(context)


def _trade_off(context: Context) -> ToleranceAnswer:
    from vcm_sweep.analysis.tolerance.trade_off import answer_trade_off

    return answer_trade_off(context)


_QUESTIONS: dict[str, Callable[[Context], ToleranceAnswer]] = {"one": _one, "joint": _joint, "trade-off": _trade_off}


def _own_results(study: Study, folder: Folder) -> Store:
    """The store of the study's results folder, to read from; made where there is none, so that ``run`` accepts it."""
    check_model(folder, study)
    if not holds_study(folder):
        return Store.create(study, folder)
    store = Store.open(folder)
    # The design may differ, for example have grown: tolerances do not depend on its points.
    if not same_but_design(store.study, study):
        raise StoreError(
            f"{folder} holds another study ({difference(store.study, study, but='design')}): choose another --out, or "
            "leave it out"
        )
    return store


def _store_of(study: Study, place: Folder) -> Store:
    if not holds_study(place):
        return Store.create(study, place)
    store = Store.open(place)
    if store.study.digest != study.digest:
        with store:
            store.become(study)
    return store

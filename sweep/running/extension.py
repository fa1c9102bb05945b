"""Extends a study by more base points or replicates, and keeps all finished trials."""

import dataclasses
from pathlib import Path

from vcm_sweep.sweep.designs.build import build_design
from vcm_sweep.sweep.designs.design import Design
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.running.running import check_model
from vcm_sweep.sweep.store import Store
from vcm_sweep.sweep.store.results import refuse_searched
from vcm_sweep.sweep.study.editing import with_values
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.study.tables.design import DesignSpec


def extend(
    directory: str | Path | Folder,
    to: int | None = None,
    replicates: int | None = None,
    replicate_rows: int | None = None,
) -> tuple[Study, Study]:
    """Make a results folder that of a longer study: (the study before, the longer one); nothing is run yet.

    Args:
        directory: results folder, path or URI; no other run may be using it.
        to: number of base points or trajectories, n in the study file.
        replicates, replicate_rows: as in the study file.

    ``replicate_rows`` is raised automatically if finished second runs would otherwise not be part of the new design.

    Raises:
        StudyError: the design would not grow, or finished trials would not be part of it.
    """
    with Store.open(directory) as store:
        before = store.study
        check_model(store.folder, before)
        before.check()
        after = extended(before, to, replicates, replicate_rows)
        refuse_searched(
            store.table(["point"])["point"], store.folder
        )  # what is wrong with the folder is said before it is changed
        store.become(after)
        return before, after


def extended(
    study: Study, to: int | None = None, replicates: int | None = None, replicate_rows: int | None = None
) -> Study:
    """The longer study; only [design] changes in its text. Arguments and errors as for :func:`extend`."""
    old = study.design
    if old.method == "conditions" and to is not None:
        raise StudyError(
            f"--to {to} is not for conditions, which are counted: add them to the study file and run it, which takes "
            "over what is finished; --replicates raises the number of trainings of each"
        )
    for option, asked, has in (("--to", to, old.n), ("--replicates", replicates, old.replicates)):
        if asked is not None and asked < has:
            raise StudyError(f"{option} {asked} is less than the {has} that the study has: a design only grows")
    wanted = dataclasses.replace(
        old,
        n=old.n if to is None else to,
        replicates=old.replicates if replicates is None else replicates,
        replicate_rows=old.replicate_rows if replicate_rows is None else replicate_rows,
    )
    design = build_design(study)
    longer = _edited(study, wanted)
    needed = _least_replicate_rows(design, build_design(longer))
    if needed > longer.design.replicate_rows:
        if replicate_rows is not None:
            raise StudyError(
                f"--replicate-rows {replicate_rows} leaves out second runs that the study has: give at least {needed}"
            )
        longer = _edited(study, dataclasses.replace(wanted, replicate_rows=needed))
    if longer.design == old:
        raise StudyError(
            f"nothing would be added: the study has n = {old.n}, replicates = {old.replicates}, replicate_rows = "
            f"{old.replicate_rows}; give more --to, --replicates or --replicate-rows"
        )
    return longer


def _least_replicate_rows(old: Design, new: Design) -> int:
    """How many rows the new design must repeat to include all runs of the old one."""
    covered = new.study.design.replicates > old.study.design.replicates
    return 0 if covered or not len(old.repeated) else int(new.rank(old.repeated).max()) + 1


def _edited(study: Study, wanted: DesignSpec) -> Study:
    """The study with the n, replicates and replicate_rows of another design, changed in its text."""
    new = {name: getattr(wanted, name) for name in ("n", "replicates", "replicate_rows")}
    changed = {name: value for name, value in new.items() if value != getattr(study.design, name)}
    return Study.from_text(with_values(study.text, "design", changed), study.frozen)

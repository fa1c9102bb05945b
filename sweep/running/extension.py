"""A longer version of a study: more base points, more replicates, and all that is finished kept."""

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
    """(the study before, the longer one that the folder holds from now on); nothing is run yet.

    Args:
        directory: results folder, path or URI; nobody else may be running it.
        to: base points or trajectories, the study file's n. replicates, replicate_rows: as there.

    ``replicate_rows`` grows by itself where otherwise finished second runs would no longer be part of the design.

    Raises:
        StudyError: the design would not grow, or what is finished would not be part of it.
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
    """The longer study, its text edited in its [design] only; arguments and errors as for :func:`extend`."""
    old = study.design
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
    """How many rows the new design must repeat to hold all runs of the old one."""
    covered = new.study.design.replicates > old.study.design.replicates
    return 0 if covered or not len(old.repeated) else int(new.rank(old.repeated).max()) + 1


def _edited(study: Study, wanted: DesignSpec) -> Study:
    """The study with another design, its text changed where that says so."""
    new = {name: getattr(wanted, name) for name in ("n", "replicates", "replicate_rows")}
    changed = {name: value for name, value in new.items() if value != getattr(study.design, name)}
    return Study.from_text(with_values(study.text, "design", changed), study.frozen)

"""The limits study beside a study's results: the same network, device and factors, each factor alone at its ends."""

from collections.abc import Sequence
from pathlib import Path

from vcm_sweep.sweep.errors import StoreError, StudyError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.running.extension import extend
from vcm_sweep.sweep.store import Store, holds_study
from vcm_sweep.sweep.study.editing import with_values, without_table
from vcm_sweep.sweep.study.study import Study

PAIRS = 32
"""Pairs where nobody says: a cost is then known to within half the noise of one training, or better."""

LIMITS, COSTS_ONLY = "limits", "limits-cost"


def limits_study(study: Study, n: int = PAIRS, arms: str = "cost") -> Study:
    """The study with a limits design in the place of its own.

    Args:
        study: any. n: pairs. arms: "cost", or "mediation" for the interventions as well.

    Raises:
        StudyError: the pairs or arms are refused.

    Example:
        >>> limits_study(Study.from_toml("studies/demo.toml")).design.plain()["n"]
        32
    """
    design: dict[str, int | str] = {"method": "limits", "n": n}
    if arms != "cost":
        design["arms"] = arms
    text = f"{without_table(study.text, 'design').rstrip()}\n"
    return Study.from_text(with_values(text, "design", design), study.frozen)


def open_limits(
    directory: str | Path | Folder, n: int | None = None, arms: str = "cost"
) -> tuple[Study, Folder, Sequence[Folder]]:
    """(study, its folder, folders whose records it takes over) of the limits study in a results folder.

    It is made, or what is there is made longer; nothing is run yet. Where the costs are there and the interventions
    are asked for, the costs are set aside as ``limits-cost``, and taken over from there.

    Args:
        directory: results folder of the study, path or URI. n: pairs; None for those that are there, or 32.
        arms: "mediation" adds the interventions; they stay once they are there.

    Raises:
        StudyError: the study is a limits study itself, or n is less than there is. StoreError: a folder in the way.
    """
    study = Store.open(directory).study
    if study.design.method == "limits":
        raise StudyError(
            f"{directory} holds a limits study itself: vcm-sweep analyze prints its costs, vcm-sweep extend makes it "
            "longer"
        )
    study.check()  # before anything is set aside
    folder, aside = Folder(directory) / LIMITS, Folder(directory) / COSTS_ONLY
    if holds_study(folder):
        held = Store.open(folder).study
        if not same_but_design(held, study) or held.design.method != "limits":
            raise StoreError(f"{folder} holds another study than {directory}: move it out of the way")
        n = held.design.n if n is None else n
        if n < held.design.n:
            raise StudyError(f"--n {n} is less than the {held.design.n} that {folder} has: a design only grows")
        if held.design.arms == arms or held.design.arms == "mediation":
            return (held if n == held.design.n else extend(folder, to=n)[1]), folder, ()
        _set_aside(folder, aside)
    # Where a run ended before it was begun anew, what was set aside still says how long it is.
    costs = Store.open(aside) if holds_study(aside) else None
    least = PAIRS if costs is None else costs.study.design.n
    made = limits_study(study, least if n is None else n, arms)
    return made, folder, () if costs is None else (aside,)


def _set_aside(folder: Folder, aside: Folder) -> None:
    if folder.local is None or aside.local is None:
        raise StoreError(
            f"{folder} holds costs without the interventions, and cannot be set aside in an object store: remove it, "
            "or fetch the study and go on here"
        )
    if aside.local.exists():
        raise StoreError(f"{aside} is in the way of setting {folder} aside: move one of them")
    with Store.open(folder):
        pass  # nobody else runs it
    folder.local.rename(aside.local)


def same_but_design(one: Study, other: Study) -> bool:
    """Whether two studies train the same network on the same device over the same ranges, however designed."""
    return {**one.canonical(), "design": 0} == {**other.canonical(), "design": 0}

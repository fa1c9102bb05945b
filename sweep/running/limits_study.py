"""The limits study of a study: the same network, device and factors, but each factor alone at the ends of its range."""

from collections.abc import Sequence
from pathlib import Path

from vcm_sweep.sweep.errors import StoreError, StudyError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.running.extension import extend
from vcm_sweep.sweep.store import Store, holds_study
from vcm_sweep.sweep.study.editing import with_values, without_table
from vcm_sweep.sweep.study.study import Study

PAIRS = 32
"""The default number of pairs, with which a cost is known to within half the noise of one training, or better."""

LIMITS, COSTS_ONLY = "limits", "limits-cost"


def limits_study(study: Study, n: int = PAIRS, arms: str = "cost") -> Study:
    """The study with a limits design instead of its own design.

    Args:
        study: any study.
        n: number of pairs.
        arms: "cost", or "mediation" to include the interventions.

    Raises:
        StudyError: n or arms is not allowed.

    Example:
        >>> limits_study(Study.from_toml("studies/demo.toml")).design.plain()["n"]
        32
    """
    if study.conditions:
        raise StudyError(
            f"{study.name} is a study of conditions, and limits are ends of factors' ranges: vcm-sweep analyze tells "
            "what each condition costs"
        )
    design: dict[str, int | str] = {"method": "limits", "n": n}
    if arms != "cost":
        design["arms"] = arms
    text = f"{without_table(study.text, 'design').rstrip()}\n"
    return Study.from_text(with_values(text, "design", design), study.frozen)


def open_limits(
    directory: str | Path | Folder, n: int | None = None, arms: str = "cost"
) -> tuple[Study, Folder, Sequence[Folder]]:
    """The limits study in a results folder: (study, its folder, folders from which its records are taken over).

    It is made, or extended if it exists; nothing is run yet. If it exists without interventions and these are wanted,
    its folder is renamed to ``limits-cost``, and its records are taken over from there.

    Args:
        directory: results folder of the study, path or URI.
        n: number of pairs; None: as many as there are, or 32.
        arms: "mediation" adds the interventions; once there, they are kept.

    Raises:
        StudyError: the study is itself a limits study, or n is less than it already has.
        StoreError: another folder is in the way.
    """
    study = Store.open(directory).study
    if study.design.method == "limits":
        raise StudyError(
            f"{directory} holds a limits study itself: vcm-sweep analyze prints its costs, vcm-sweep extend makes it "
            "longer"
        )
    study.check()  # before any folder is renamed
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
    # If an earlier call was cut short after the renaming, the renamed folder still tells the number of pairs.
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
        pass  # taking the lock shows that no other run is using the folder
    folder.local.rename(aside.local)


def same_but_design(one: Study, other: Study) -> bool:
    """Whether two studies are equal in everything but their design."""
    return {**one.canonical(), "design": 0} == {**other.canonical(), "design": 0}
